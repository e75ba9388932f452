package ratelimiter

import (
	"bytes"
	"io"
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
			if known {
				req.ContentLength = int64(size)
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
			if replayable := sent.GetBody != nil; replayable != (size < most) {
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

// A body that is in memory is read without a watch on its context, and as it is.
func TestBodyInMemory(t *testing.T) {
	const most = 1000
	for _, size := range []int{0, most - 1, most, 2 * most} {
		content := strings.Repeat("x", size)
		for name, reader := range map[string]io.Reader{
			"bytes.Reader": bytes.NewReader([]byte(content)), "bytes.Buffer": bytes.NewBufferString(content), "strings.Reader": strings.NewReader(content),
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x", reader)
			if err != nil {
				t.Fatal(err)
			}
			if req.Body == http.NoBody {
				continue
			}
			if n, ok := inMemory(req.Body); n != int64(size) || !ok {
				t.Errorf("%s: %d bytes in memory (%t), want %d", name, n, ok, size)
			}
			var body requestBody
			if err := body.read(req, most); err != nil {
				t.Fatal(err)
			}
			if len(body.prefix) != min(size, most) || (body.rest == nil) != (size < most) {
				t.Errorf("%s: %d bytes of %d are held, all of them: %t", name, len(body.prefix), size, body.rest == nil)
			}
			body.attach(req)
			if got, err := io.ReadAll(req.Body); err != nil || string(got) != content {
				t.Errorf("%s: %d bytes of %d are sent: %v", name, len(got), size, err)
			}
		}
	}
	for _, other := range []io.Reader{io.NopCloser(io.MultiReader()), &closeCounter{Reader: strings.NewReader("x")}} {
		if _, ok := inMemory(other); ok {
			t.Errorf("%T is taken for one in memory", other)
		}
	}
}
