package decode

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written returns what a compressor makes of text.
func written(t testing.TB, text string, by func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var b bytes.Buffer
	w := by(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
func zlibbed(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
func deflated(w io.Writer) io.WriteCloser {
	f, _ := flate.NewWriter(w, flate.DefaultCompression)
	return f
}

// rot13 stands for the encodings of others.
func rot13(r io.Reader) (io.Reader, error) { return rotated{r}, nil }

type rotated struct{ r io.Reader }

func (r rotated) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	for i, c := range p[:n] {
		switch {
		case 'a' <= c && c <= 'z':
			p[i] = 'a' + (c-'a'+13)%26
		case 'A' <= c && c <= 'Z':
			p[i] = 'A' + (c-'A'+13)%26
		}
	}
	return n, err
}

func TestChain(t *testing.T) {
	const text = `{"usage":{"total_tokens":12}}`
	rot, _ := io.ReadAll(rotated{strings.NewReader(text)})
	set := Set{"rot13": rot13, "fails": func(io.Reader) (io.Reader, error) { return nil, errors.New("no") }}
	for _, c := range []struct {
		name  string
		lines []string
		body  []byte
		want  string
		known bool
	}{
		{"none", nil, []byte(text), text, true},
		{"gzip", []string{"gzip"}, written(t, text, gzipped), text, true},
		{"in capitals", []string{" GZip "}, written(t, text, gzipped), text, true},
		{"x-gzip", []string{"x-gzip"}, written(t, text, gzipped), text, true},
		{"two members", []string{"gzip"}, append(written(t, text[:9], gzipped), written(t, text[9:], gzipped)...), text, true},
		{"deflate", []string{"deflate"}, written(t, text, zlibbed), text, true},
		{"deflate without zlib", []string{"deflate"}, written(t, text, deflated), text, true},
		{"nothing, deflated without zlib", []string{"deflate"}, []byte("\x03\x00"), "", true},
		{"called gzip", []string{"gzip"}, []byte(text), text, true},
		{"called deflate", []string{"deflate"}, []byte(text), text, true},
		{"identity", []string{"identity"}, []byte(text), text, true},
		{"a character set", []string{"UTF-8"}, []byte(text), text, true},
		{"another character set", []string{"ISO-8859-15"}, []byte(text), text, true},
		{"a character set of Windows", []string{"windows-1252"}, []byte(text), text, true},
		{"a type", []string{"application/json; charset=utf-8"}, []byte(text), text, true},
		{"another type", []string{"text/plain"}, []byte(text), text, true},
		{"a parameter", []string{"gzip;q=1.0"}, written(t, text, gzipped), text, true},
		{"nothing", []string{"none", ""}, []byte(text), text, true},
		{"identity and gzip", []string{"identity, gzip"}, written(t, text, gzipped), text, true},
		{"twice", []string{"deflate, gzip"}, written(t, string(written(t, text, zlibbed)), gzipped), text, true},
		{"twice, in two lines", []string{"deflate", "gzip"}, written(t, string(written(t, text, zlibbed)), gzipped), text, true},
		{"another's", []string{"rot13"}, rot, text, true},
		{"another's within gzip", []string{"rot13, gzip"}, written(t, string(rot), gzipped), text, true},
		{"unknown", []string{"br"}, []byte("\x1b\x00\x00"), "", false},
		{"unknown within", []string{"br, gzip"}, written(t, "\x1b\x00\x00", gzipped), "", false},
		{"no encoding by its name", []string{"br"}, []byte(text), text, false},
		{"no encoding by its name, of events", []string{"chunked"}, []byte("data: x\n\n"), "data: x\n\n", false},
		{"no encoding by its name, of white space", []string{"off"}, []byte("{\n}"), "{\n}", false},
		{"no encoding by its name, within gzip", []string{"chunked, gzip"}, written(t, text, gzipped), text, false},
		{"too many", []string{"gzip, gzip, gzip, gzip, gzip"}, written(t, text, gzipped), "", false},
		{"fails", []string{"fails"}, []byte(text), "", true},
		{"broken", []string{"gzip"}, []byte("\x1f\x8b\x00\x00"), "", true},
		{"cut off", []string{"gzip"}, []byte("\x1f\x8b\x08"), "", true},
		{"empty", []string{"gzip"}, nil, "", true},
		{"a byte", []string{"deflate"}, []byte("x"), "x", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain, known := set.Chain(http.Header{"Content-Encoding": c.lines})
			if known != c.known {
				t.Fatalf("known %v", known)
			}
			if got := string(chain.Prefix(c.body, 1<<20)); got != c.want {
				t.Errorf("prefix %q, want %q", got, c.want)
			}
			for _, size := range []int{1, 3, 1 << 20} {
				s := chain.Stream()
				var got []byte
				take := func(p []byte) bool { got = append(got, p...); return false }
				for rest := c.body; len(rest) > 0; rest = rest[min(size, len(rest)):] {
					s.Write(rest[:min(size, len(rest))], take)
				}
				s.End(take)
				if len(chain) > 0 && string(got) != c.want {
					t.Errorf("in pieces of %d: %q, want %q", size, got, c.want)
				}
			}
		})
	}
}

// A bomb is decoded no further than its reader wants.
func TestPrefixIsBounded(t *testing.T) {
	bomb := written(t, strings.Repeat("x", 8<<20), gzipped)
	if got := (Chain{gunzip}).Prefix(bomb, 1000); len(got) != 1000 {
		t.Errorf("%d bytes", len(got))
	}
}

// What has been flushed is there at once, though the body goes on.
func TestStreamIsPrompt(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	s := Chain{gunzip}.Stream()
	defer s.Stop()
	var got string
	for _, event := range []string{"data: 1\n\n", "data: 2\n\n", strings.Repeat("x", 100_000), "data: [DONE]\n\n"} {
		io.WriteString(w, event)
		w.Flush()
		s.Write(b.Bytes(), func(p []byte) bool { got += string(p); return false })
		b.Reset()
		if !strings.HasSuffix(got, event) {
			t.Fatalf("%q is missing", event[:7])
		}
	}
}

// Who has seen enough sees no more, and the goroutine is gone.
func TestStreamStops(t *testing.T) {
	s := Chain{gunzip}.Stream()
	var text [1 << 20]byte
	_, _ = rand.NewChaCha8([32]byte{}).Read(text[:])
	seen := 0
	s.Write(written(t, string(text[:]), gzipped), func(p []byte) bool { seen++; return true })
	if !s.over {
		t.Error("the decoder goes on")
	}
	s.Write([]byte("more"), func(p []byte) bool { seen++; return true })
	s.End(func([]byte) bool { seen++; return true })
	if seen != 1 {
		t.Errorf("called %d times", seen)
	}
	var unused Stream
	unused.Stop()
}

// A decoder that hangs holds nobody up for long, and one that reads from a goroutine of its
// own is read like any other.
func TestStreamOfAnOddDecoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(r io.Reader) (io.Reader, error) {
			return readerFunc(func(p []byte) (int, error) {
				n, err := r.Read(p)
				if err != nil {
					return n, err
				}
				time.Sleep(time.Hour)
				return 0, io.EOF
			}), nil
		}
		s := Chain{hangs}.Stream()
		start := time.Now()
		s.Write([]byte("abc"), func([]byte) bool { return false })
		s.Write([]byte("def"), func([]byte) bool { return false })
		s.End(func([]byte) bool { return false })
		if d := time.Since(start); d != 250*time.Millisecond { // as docs/ARCHITECTURE.md says
			t.Errorf("it took %v", d)
		}
		time.Sleep(2 * time.Hour)
	})

	// One that has ended before its body holds nobody up.
	synctest.Test(t, func(t *testing.T) {
		s := Chain{func(r io.Reader) (io.Reader, error) { return io.LimitReader(r, 2), nil }}.Stream()
		start, got := time.Now(), ""
		for range 3 {
			s.Write([]byte("abc"), func(p []byte) bool { got += string(p); return false })
		}
		if d := time.Since(start); d != 0 || got != "ab" {
			t.Errorf("it took %v to decode %q", d, got)
		}
	})

	// A hundred reads in a row that give nothing, as for bufio, are the end of one.
	reads := 0
	idle := func(io.Reader) (io.Reader, error) {
		return readerFunc(func(p []byte) (int, error) {
			if reads++; reads%100 == 0 && reads <= 300 {
				return copy(p, "x"), nil
			}
			return 0, nil
		}), nil
	}
	s := Chain{idle}.Stream()
	var got string
	s.Write([]byte("abc"), func(p []byte) bool { got += string(p); return false })
	if got != "xxx" || !s.over || reads != 400 {
		t.Errorf("%q after %d reads, over: %t", got, reads, s.over)
	}

	ahead := func(r io.Reader) (io.Reader, error) {
		pr, pw := io.Pipe()
		go func() {
			_, err := io.Copy(pw, r)
			pw.CloseWithError(err)
		}()
		return pr, nil
	}
	s, got = Chain{ahead}.Stream(), ""
	for range 100 {
		s.Write([]byte("piece "), func(p []byte) bool { got += string(p); return false })
	}
	s.End(func(p []byte) bool { got += string(p); return false })
	if got != strings.Repeat("piece ", 100) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A panic reaches the caller, wherever it begins, and leaves no goroutine.
func TestStreamPanics(t *testing.T) {
	caught := func(f func()) (p any) {
		defer func() { p = recover() }()
		f()
		return nil
	}
	s := Chain{func(io.Reader) (io.Reader, error) { panic("decoder") }}.Stream()
	if p, _ := caught(func() { s.Write([]byte("x"), nil) }).(string); !strings.HasSuffix(p, "panicked: decoder") {
		t.Errorf("%q", p)
	}
	s = Chain{rot13}.Stream()
	if p := caught(func() { s.Write([]byte("x"), func([]byte) bool { panic("counter") }) }); p != "counter" {
		t.Errorf("%v", p)
	}
	s.Stop()
}

// A decoder's reader is closed, whichever way it is.
func TestDecodersAreClosed(t *testing.T) {
	for name, wrap := range map[string]func(*int, io.Reader) io.Reader{
		"io.Closer": func(n *int, r io.Reader) io.Reader { return closer{r, n} },
		"zstd's":    func(n *int, r io.Reader) io.Reader { return plainCloser{r, n} },
	} {
		closed := 0
		chain := Chain{func(r io.Reader) (io.Reader, error) { return wrap(&closed, r), nil }}
		chain.Prefix([]byte("abc"), 10)
		s := chain.Stream()
		s.Write([]byte("abc"), func([]byte) bool { return false })
		s.End(func([]byte) bool { return false })
		if closed != 2 {
			t.Errorf("%s: closed %d times", name, closed)
		}
	}
}

type closer struct {
	io.Reader
	n *int
}

func (c closer) Close() error { *c.n++; return nil }

type plainCloser struct {
	io.Reader
	n *int
}

func (c plainCloser) Close() { *c.n++ }

// What a body stands for is read as far as it is in a proportion to its size, at each of its
// encodings: a bomb costs no more than a body does.
func TestBombsAreNotRead(t *testing.T) {
	zip := func(p []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	once := zip(make([]byte, 64<<20))
	// Blocks that are stored and of no length stand for nothing, at any length.
	empty := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 8<<20)...)
	for name, x := range map[string]struct {
		encoding string
		body     []byte
	}{
		"once":                 {"gzip", once},
		"twice":                {"gzip, gzip", zip(once)},
		"twice, for nothing":   {"gzip, gzip", zip(empty)},
		"thrice":               {"gzip, gzip, gzip", zip(zip(once))},
		"thrice, as a deflate": {"gzip, gzip, deflate", zip(zip(once))},
	} {
		t.Run(name, func(t *testing.T) {
			chain, ok := Set(nil).Chain(http.Header{"Content-Encoding": {x.encoding}})
			if !ok {
				t.Fatal("no chain")
			}
			most := 1<<20 + 100*len(x.body) // as SECURITY.md promises, whatever the code says
			decoded, s := 0, chain.Stream()
			count := func(p []byte) bool {
				decoded += len(p)
				return false
			}
			s.Write(x.body, count)
			s.End(count)
			if decoded > most {
				t.Errorf("%d bytes have become %d; want at most %d", len(x.body), decoded, most)
			}
			if n := len(chain.Prefix(x.body, 1<<40)); n > most {
				t.Errorf("a prefix of %d bytes has become %d; want at most %d", len(x.body), n, most)
			}
		})
	}
}

// Nothing in earnest comes near what a bomb is told by.
func TestRepeatedTextIsRead(t *testing.T) {
	event := `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" the"},"finish_reason":null}]}` + "\n\n"
	text := strings.Repeat(event, 20_000)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for line := range strings.SplitAfterSeq(text, "\n\n") { // as a server flushes them
		_, err := io.WriteString(w, line)
		if err := errors.Join(err, w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	chain, _ := Set(nil).Chain(http.Header{"Content-Encoding": {"gzip"}})
	if got := chain.Prefix(b.Bytes(), 1<<40); string(got) != text {
		t.Errorf("%d of %d bytes, at a ratio of %d", len(got), len(text), len(text)/b.Len())
	}
}

// FuzzStream: how a body is cut changes nothing of what it stands for.
func FuzzStream(f *testing.F) {
	encodings := []string{"gzip", "deflate", "deflate, gzip", "identity"}
	for _, text := range []string{"", "{}", strings.Repeat("data: {}\n\n", 100)} {
		for i := range encodings {
			for _, by := range []func(io.Writer) io.WriteCloser{gzipped, zlibbed, deflated} {
				f.Add(uint8(i), written(f, text, by), uint64(i))
			}
		}
		twice := written(f, string(written(f, text, deflated)), gzipped)
		f.Add(uint8(2), twice, uint64(1))
		f.Add(uint8(2), twice[:len(twice)/2], uint64(2))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte, seed uint64) {
		chain, ok := Set(nil).Chain(http.Header{"Content-Encoding": {encodings[int(which)%len(encodings)]}})
		if !ok {
			t.Fatal("no chain")
		}
		decoded := func(next func(left int) int) []byte {
			var all []byte
			keep := func(p []byte) bool {
				all = append(all, p...)
				return false
			}
			s := chain.Stream()
			for at := 0; at < len(body); {
				n := next(len(body) - at)
				s.Write(body[at:at+n], keep)
				at += n
			}
			s.End(keep)
			return all
		}
		synctest.Test(t, func(t *testing.T) { // in which no decoder is late
			whole := decoded(func(left int) int { return left })
			random := rand.New(rand.NewPCG(seed, 0))
			for name, got := range map[string][]byte{
				"byte by byte": decoded(func(int) int { return 1 }),
				"in pieces":    decoded(func(left int) int { return 1 + random.IntN(left) }),
				"as a prefix":  chain.Prefix(body, 1<<30),
			} {
				if !bytes.Equal(got, whole) {
					t.Errorf("%s: %d bytes, whole %d", name, len(got), len(whole))
				}
			}
		})
	})
}
