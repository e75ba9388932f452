package ratelimiter

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
)

// closeCounter counts how often it is closed.
type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

// What is sent is what was given, on both sides of the cap, and no more than the cap
// is held.
func TestBodyAroundItsCap(t *testing.T) {
	const most = 1000
	for _, size := range []int{0, 1, most - 1, most, most + 1, 3 * most} {
		for _, known := range []bool{true, false} {
			content := strings.Repeat("x", size)
			given := &closeCounter{Reader: strings.NewReader(content)}
			req := &http.Request{Body: given, ContentLength: -1}
			if known { // so is how to get it again
				req.ContentLength = int64(size)
				req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("not to be asked") }
			}
			body := new(requestBody)
			err := body.read(req, most)
			if err != nil {
				t.Fatal(err)
			}
			if len(body.prefix) != min(size, most) {
				t.Errorf("%d bytes of %d are held", len(body.prefix), size)
			}
			sent := req.Clone(t.Context())
			body.attach(sent)
			got, err := io.ReadAll(sent.Body)
			if err != nil || string(got) != content {
				t.Errorf("%d bytes of %d are sent: %v", len(got), size, err)
			}
			if sent.ContentLength != req.ContentLength {
				t.Errorf("length %d is sent, want %d", sent.ContentLength, req.ContentLength)
			}
			sent.Body.Close()
			if given.closed == 0 {
				t.Errorf("a body of %d bytes was not closed", size)
			}
			if replayable := sent.GetBody != nil; replayable != (known && size < most) {
				t.Errorf("a body of %d bytes can be sent again: %t", size, replayable)
			}
		}
	}

	given := &closeCounter{Reader: strings.NewReader(strings.Repeat("x", 2*most))}
	var body requestBody
	err := body.read(&http.Request{Body: given}, most)
	if err != nil {
		t.Fatal(err)
	}
	if body.Close(); given.closed != 1 {
		t.Errorf("a body that is not sent was closed %d times", given.closed)
	}
}

// An announcedBody is one of which a test knows how much was asked for before it came.
type announcedBody struct {
	left, come int
	most       float64 // how many times what had come was asked for
}

func (b *announcedBody) Read(p []byte) (int, error) {
	if b.come >= 64<<10 {
		b.most = max(b.most, float64(b.come+len(p))/float64(b.come))
	} else if n := b.come + len(p); n > 65<<10 {
		b.most = math.Inf(1)
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), b.left, 1000)
	b.left, b.come = b.left-n, b.come+n
	return n, nil
}

func (b *announcedBody) Close() error { return nil }

// Whatever a request says of its body's length, room is made as it comes, and it takes few
// steps to come to a large body's end.
func TestBodyGetsRoomAsItComes(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 64 << 10, 65 << 10, 3 << 20} {
		for _, announced := range []int64{-1, 0, 1, int64(size), 1 << 40} {
			given := &announcedBody{left: size}
			var body requestBody
			if err := body.read(&http.Request{Body: given, ContentLength: announced}, 4<<20); err != nil {
				t.Fatal(err)
			}
			if len(body.prefix) != size || body.rest != nil {
				t.Errorf("%d bytes of %d are held, all of them: %t", len(body.prefix), size, body.rest == nil)
			}
			if given.most > 9 {
				t.Errorf("a body of %d bytes that says %d gets room for %.0f times what has come", size, announced, given.most)
			}
			if n := cap(body.prefix); n > 2*size+bytes.MinRead {
				t.Errorf("a body of %d bytes that says %d holds %d", size, announced, n)
			}
		}
	}
	steps := 0
	for come := 0; come < bodyCap; steps++ {
		come = roomFor(come, bodyCap)
	}
	if steps > 5 {
		t.Errorf("the buffer of a large body grows %d times", steps)
	}
}

// A body that is in memory is looked at where it lies, from where its reader stands, and the same
// reader is sent.
func TestBodyInMemory(t *testing.T) {
	const most = 1000
	for _, size := range []int{0, 1, most - 1, most, 2 * most} {
		content := strings.Repeat("x", size)
		given := []byte("before" + content)
		for name, reader := range map[string]io.ReadSeeker{
			"bytes.Reader": bytes.NewReader(given), "bytes.Buffer": bufferSeeker{bytes.NewBuffer(given)}, "strings.Reader": strings.NewReader(string(given)),
		} {
			if _, err := reader.Seek(int64(len("before")), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			var in io.Reader = reader
			if b, ok := reader.(bufferSeeker); ok {
				in = b.Buffer
			}
			own := io.NopCloser(in)
			req := &http.Request{Body: own, ContentLength: int64(size)}
			var left []byte
			if n, ok := inMemory(own, most, &left); string(left) != content[:min(size, most)] || n != int64(size) || !ok {
				t.Errorf("%s: %d bytes of %d in memory (%t), want %d", name, len(left), n, ok, size)
			}
			if name == "strings.Reader" && cap(left) > most {
				t.Errorf("%d bytes were copied of %d, only to be cut off", cap(left), size)
			}
			var body requestBody
			if err := body.read(req, most); err != nil {
				t.Fatal(err)
			}
			if len(body.prefix) != min(size, most) || body.whole != (size < most) {
				t.Errorf("%s: %d bytes of %d are held, all of them: %t", name, len(body.prefix), size, body.whole)
			}
			if name != "strings.Reader" && size > 0 && &body.prefix[0] != &given[len("before")] {
				t.Errorf("%s: %d bytes were copied", name, size)
			}
			if body.attach(req); req.Body != own || body.prefix != nil {
				t.Errorf("%s: another body is sent, or this one kept", name)
			}
			if got, err := io.ReadAll(req.Body); err != nil || string(got) != content {
				t.Errorf("%s: %d bytes of %d are sent: %v", name, len(got), size, err)
			}
		}
	}
	for _, other := range []io.Reader{io.NopCloser(io.MultiReader()), &closeCounter{Reader: strings.NewReader("x")}} {
		if _, ok := inMemory(other, most, new([]byte)); ok {
			t.Errorf("%T is taken for one in memory", other)
		}
	}
}

// A bufferSeeker skips what is before.
type bufferSeeker struct{ *bytes.Buffer }

func (b bufferSeeker) Seek(n int64, _ int) (int64, error) {
	b.Next(int(n))
	return n, nil
}

// What net/http sees of a body is what it would see of the caller's: whether it is in
// memory, whether it can be had again, and what its Close says.
func TestBodyIsSeenAsGiven(t *testing.T) {
	failure := errors.New("can't close")
	for _, tt := range []struct {
		name    string
		body    io.ReadCloser
		again   bool
		visible bool
		closed  error
	}{
		{"in memory", io.NopCloser(strings.NewReader("x")), true, true, nil},
		{"in memory, once", io.NopCloser(strings.NewReader("x")), false, true, nil},
		{"another", &closeCounter{Reader: strings.NewReader("x")}, true, false, nil},
		{"whose Close fails", failingCloser{strings.NewReader("x"), failure}, true, false, failure},
	} {
		req := &http.Request{Body: tt.body, ContentLength: 1}
		if tt.again && tt.visible {
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }
		} else if tt.again {
			req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("not to be asked") }
		}
		var body requestBody
		if err := body.read(req, 100); err != nil {
			t.Fatal(err)
		}
		sent := req.Clone(t.Context())
		body.attach(sent)
		bodies := []io.ReadCloser{sent.Body}
		if (sent.GetBody != nil) != tt.again {
			t.Errorf("%s: can be had again: %t", tt.name, !tt.again)
		} else if tt.again {
			again, err := sent.GetBody()
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, again)
		}
		for _, b := range bodies {
			if _, visible := inMemory(b, bodyCap, new([]byte)); visible != tt.visible {
				t.Errorf("%s: in memory: %t", tt.name, visible)
			}
			if got, err := io.ReadAll(b); string(got) != "x" || err != nil {
				t.Errorf("%s: %q, %v", tt.name, got, err)
			}
			if err := b.Close(); err != tt.closed {
				t.Errorf("%s: Close says %v", tt.name, err)
			}
		}
	}
}

type failingCloser struct {
	io.Reader
	failure error
}

func (c failingCloser) Close() error { return c.failure }
