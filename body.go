package ratelimiter

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// bodyCap is the most of a request's body that is kept in memory, from before its
// wait until it is sent: more than the 50 MB, in base64, that the API takes in JSON, and
// than its 25 MB of audio. SDKs write the model after the messages and after the
// file, so what is cut off may lack it. What is beyond the cap is sent unread.
const bodyCap = 64 << 20

// A requestBody is a request's body, looked at before it is sent, as far as the cap.
type requestBody struct {
	prefix []byte
	whole  bool          // prefix is all of it
	rest   io.ReadCloser // the caller's body, or nil where it has been read and closed
	unread bool          // it is in memory, and sent as it is
	length int64
	again  bool  // the request said how to get its body again
	hidden bool  // net/http could not see that the body is in memory
	writes bool  // it lets the body write itself, which of unknown length is one chunk
	closed error // what the body's Close said
}

// read looks at the request's body, or takes it out of the request and reads at most that much of
// it. It reads Body itself and never calls GetBody, which openai-go may have set to a function
// that rewinds the very reader that is Body (v3.96 with WithRequestBody over a bytes.Reader).
func (b *requestBody) read(req *http.Request, most int64) (err error) {
	if req.Body == nil || req.Body == http.NoBody {
		b.unread, b.whole = true, true
		return nil
	}
	b.length, b.again = req.ContentLength, req.GetBody != nil
	if length, ok := inMemory(req.Body, most, &b.prefix); ok {
		b.unread, b.rest, b.whole = true, req.Body, length < most
		return nil
	}
	returns := false
	defer func() {
		if !returns { // its Read has panicked
			req.Body.Close()
		}
	}()
	b.hidden = true
	_, b.writes = req.Body.(io.WriterTo)
	b.prefix, b.whole, err = readAhead(req.Context(), req, most)
	returns = true
	switch {
	case err != nil:
		req.Body.Close()
	case !b.whole:
		b.rest = req.Body
	default:
		b.closed = req.Body.Close()
	}
	return err
}

// inMemory sets prefix to so much of what is left in a body that lies in memory, and leaves it
// there. It returns how long that is in all. Bodies are wrapped where http.NewRequest or an SDK has
// made them.
func inMemory(body io.Reader, most int64, prefix *[]byte) (length int64, ok bool) {
	if t := reflect.TypeOf(body); t == nopCloser || t == nopCloserWriterTo {
		body, _ = reflect.ValueOf(body).Field(0).Interface().(io.Reader)
	}
	switch r := body.(type) {
	case *bytes.Buffer:
		*prefix = r.Bytes()
		length = int64(len(*prefix))
	case *bytes.Reader:
		length, _ = r.WriteTo((*glance)(prefix))
		_, _ = r.Seek(-length, io.SeekCurrent)
	case *strings.Reader:
		length = int64(r.Len())
		*prefix = make([]byte, min(length, most))
		_, _ = r.ReadAt(*prefix, r.Size()-length)
	default:
		return 0, false
	}
	*prefix = (*prefix)[:min(length, most)]
	return length, true
}

// A glance is what one Write was given. Its Writer must have that in memory that stays.
type glance []byte

func (g *glance) Write(p []byte) (int, error) {
	*g = p
	return len(p), nil
}

var (
	nopCloser         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterTo = reflect.TypeOf(io.NopCloser(new(bytes.Reader)))
)

// readAhead reads so much of the request's body, or all of it, unless the context ends.
func readAhead(ctx context.Context, req *http.Request, most int64) (prefix []byte, whole bool, err error) {
	stop := context.AfterFunc(ctx, func() { req.Body.Close() }) // ends a Read that hangs
	defer stop()                                                // also if it panics
	body := io.LimitReader(req.Body, most)
	length := min(req.ContentLength, most)
	for err == nil {
		if len(prefix) == cap(prefix) {
			prefix = append(make([]byte, 0, roomFor(len(prefix), length)), prefix...)
		}
		var n int
		n, err = body.Read(prefix[len(prefix):cap(prefix)])
		prefix = prefix[:len(prefix)+n]
	}
	if !stop() {
		return nil, false, ctx.Err()
	}
	if err == io.EOF {
		err = nil
	}
	if len(prefix) < cap(prefix)*3/4 { // of unknown length: the buffer has doubled
		prefix = bytes.Clone(prefix)
	}
	return prefix, int64(len(prefix)) < most, err
}

// roomFor is the next size of a buffer that is full. The length that a request announces counts
// only up to eight times what has come: a client can announce 64 MiB for nothing, and send none
// of them.
func roomFor(come int, length int64) int {
	if length <= int64(come) { // it was not known, or wrong
		return max(bytes.MinRead, 2*come)
	}
	const begin = 64 << 10
	return int(min(length, int64(max(begin, 8*come)))) + bytes.MinRead // so that the end shows
}

// attach gives the body to the request that is sent.
func (b *requestBody) attach(req *http.Request) {
	switch {
	case b.unread:
		b.prefix = nil // the caller's body is not kept
	case b.rest != nil:
		req.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(b.prefix), b.rest), b.rest}
		req.GetBody = nil
	default:
		req.Body = b.sent(bytes.NewReader(b.prefix))
		req.GetBody = nil
		if b.again {
			req.GetBody = func() (io.ReadCloser, error) { return b.sent(bytes.NewReader(b.prefix)), nil }
		}
		req.ContentLength = b.length
	}
}

// sent is a reader of the prefix, as net/http sees the body. A body that net/http knows to be in
// memory is written together with the head, and a request that fails by then counts as never
// written. So a body that it could not see through stays hidden from it.
func (b *requestBody) sent(r *bytes.Reader) io.ReadCloser {
	switch {
	case !b.hidden:
		return io.NopCloser(r)
	case b.writes:
		return &writingBody{hiddenBody{r, b.closed}}
	}
	return &hiddenBody{r, b.closed}
}

// A hiddenBody hides from net/http that it is in memory.
type hiddenBody struct {
	r      *bytes.Reader
	closed error
}

func (b *hiddenBody) Read(p []byte) (int, error) { return b.r.Read(p) }
func (b *hiddenBody) Close() error               { return b.closed }

// A writingBody is a hidden one that writes itself.
type writingBody struct{ hiddenBody }

func (b *writingBody) WriteTo(w io.Writer) (int64, error) { return b.r.WriteTo(w) }

// Close releases what a request that is not sent has left.
func (b *requestBody) Close() {
	if b.rest != nil {
		b.rest.Close()
	}
}

// askForUsage asks for the usage of a stream, unless the body says whether it wants that.
func (b *requestBody) askForUsage(e wire.Endpoint) {
	if e != wire.Chat && e != wire.Completions {
		return
	}
	asking, ok := costing.AskForUsage(b.prefix)
	if !ok {
		return
	}
	b.prefix, b.unread, b.rest = asking, false, nil
	if b.length > 0 {
		b.length = int64(len(b.prefix))
	}
}
