// Package decode reads bodies whose Content-Encoding says that they are compressed. A
// [Chain] is how a body is decoded: of what is there already by [Chain.Prefix], and of a
// body that passes by, to somebody who wants it as it is, by a [Stream].
//
// What can't be decoded is not read, nor what stands for more than a hundred times its size.
// Memory is bounded: a Stream keeps what its decoder keeps and two buffers, and a Prefix has
// a largest length.
package decode

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// A Decoder returns a reader of what r's bytes stand for.
type Decoder func(r io.Reader) (io.Reader, error)

// A Set holds decoders by their names, in lower case, in addition to gzip and deflate.
type Set map[string]Decoder

// A Chain is the decoders of a body, the one that was applied last first.
type Chain []Decoder

// Chain returns how a body with these headers is decoded: an empty Chain for a body that is not
// compressed. ok is false if an encoding is unknown, or there are too many. An unknown encoding
// may be a name that encodes nothing. So its decoder passes on JSON and streams of events, and
// fails for anything else.
func (s Set) Chain(h http.Header) (c Chain, ok bool) {
	ok = true
	for _, line := range h["Content-Encoding"] {
		for name := range strings.SplitSeq(line, ",") {
			name = Name(name)
			if EncodesNothing(name) {
				continue
			}
			d := s[name]
			if d == nil {
				d = standard[name]
			}
			if d == nil {
				d, ok = plain, false
			}
			if len(c) == mostEncodings {
				return Chain{plain}, false
			}
			c = append(Chain{d}, c...)
		}
	}
	return c, ok
}

// mostEncodings is more than anybody applies.
const mostEncodings = 4

// Name returns an encoding's name as it is looked up, without parameters.
func Name(encoding string) string {
	name, _, _ := strings.Cut(encoding, ";")
	return strings.ToLower(strings.TrimSpace(name))
}

// EncodesNothing reports whether a name that is sent as an encoding's is that of none:
// servers send the character set there, too, and the type of the content.
func EncodesNothing(name string) bool {
	switch name {
	case "", "identity", "none", "null", "plain", "ascii", "us-ascii", "binary", "8bit", "7bit":
		return true
	}
	for _, set := range [...]string{"utf", "iso-8859-", "windows-", "charset="} {
		if strings.HasPrefix(name, set) {
			return true
		}
	}
	return strings.Contains(name, "/")
}

var standard = map[string]Decoder{"gzip": gunzip, "x-gzip": gunzip, "deflate": inflate}

// plain passes on what begins as JSON or a stream of events does, and no compressed data.
func plain(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	head, _ := b.Peek(2)
	switch string(head) {
	case `{"`, "{ ", "{\n", "{\r", "{}", "[{", "[\n", "[ ", "da", "ev", "id", "re", ": ", ":\n", "\xef\xbb":
		return b, nil
	}
	return nil, errUnknown
}

var errUnknown = errors.New("decode: the encoding is not known")

// gunzip passes on what is no gzip file although it is called so.
func gunzip(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if magic, err := b.Peek(2); err == nil && string(magic) == "\x1f\x8b" {
		return gzip.NewReader(b)
	}
	return b, nil
}

// inflate reads deflate as it is meant, in zlib's format, and as some servers send it,
// without.
func inflate(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(2)
	switch {
	case err != nil, head[0] == '{': // no deflated JSON begins so
		return b, nil
	case head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0:
		return zlib.NewReader(b)
	}
	return flate.NewReader(b), nil
}

// open chains readers. close releases them.
func (c Chain) open(r io.Reader) (decoded io.Reader, close func(), err error) {
	var opened []io.Reader
	source := &counted{Reader: r}
	r = source
	close = func() {
		for _, r := range opened {
			switch r := r.(type) {
			case io.Closer:
				r.Close()
			case interface{ Close() }: // a zstd.Decoder
				r.Close()
			}
		}
	}
	for _, decoder := range c {
		if r, err = decoder(r); err != nil {
			close()
			return nil, nil, err
		}
		opened = append(opened, r)
		r = &bounded{Reader: r, source: source}
	}
	return r, close, nil
}

const (
	// mostRatio is how many times as large as a body what it stands for may be, at each of
	// its encodings. Text and JSON become some twenty times smaller; gzip can a thousand, and
	// a million where it is applied twice.
	mostRatio = 100
	// anyway is how much more there may be: a short body may be all alike.
	anyway = 1 << 20
)

// errBomb is that of a body that stands for too much.
var errBomb = errors.New("decode: the body stands for more than a hundred times its size")

// A counted reader counts what a decoder has taken, perhaps on several goroutines.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A bounded reader ends with what a body can stand for in earnest.
type bounded struct {
	io.Reader
	source *counted
	n      int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.n += int64(n); b.n > anyway+mostRatio*b.source.n.Load() {
		return 0, errBomb
	}
	return n, err
}

// Prefix decodes what there is of a body, up to most bytes. What is cut off or broken is
// decoded as far as it goes.
func (c Chain) Prefix(body []byte, most int64) []byte {
	if len(c) == 0 || len(body) == 0 {
		return body
	}
	r, done, err := c.open(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	defer done()
	decoded, _ := io.ReadAll(io.LimitReader(r, most))
	return decoded
}
