package invisible

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is what HTTP/2 clients have sent, for each connection its settings and its
// requests: header fields, data, where the stream ends, and trailers. What chance decides is
// left out: the order of the fields, window updates, pings, how data is cut into frames, and
// whether the client gives up a stream whose end is on its way.
func (t *tape) frames() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all strings.Builder
	for _, c := range t.conns {
		if len(c.sent) == 0 {
			continue
		}
		rest, ok := bytes.CutPrefix(c.sent, []byte(http2.ClientPreface))
		if !ok { // WebSockets go over HTTP/1.1 all the same
			all.Write(c.plain())
			continue
		}
		if err := framesOf(&all, rest); err != nil {
			return "", err
		}
	}
	return normal(all.String()), nil
}

// A stream is a request over HTTP/2.
type stream struct {
	heads []string // fields, once or with trailers
	data  []byte
	ended bool
}

func framesOf(out *strings.Builder, sent []byte) error {
	framer := http2.NewFramer(nil, bytes.NewReader(sent))
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	streams := map[uint32]*stream{}
	var order []uint32
	for {
		f, err := framer.ReadFrame()
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
		id := f.Header().StreamID
		if id != 0 && streams[id] == nil {
			streams[id] = &stream{}
			order = append(order, id)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				fmt.Fprintln(out, f)
			}
		case *http2.MetaHeadersFrame:
			var head []string
			for _, field := range f.Fields {
				head = append(head, fmt.Sprintf("%s: %s\n", field.Name, field.Value))
			}
			slices.Sort(head)
			streams[id].heads = append(streams[id].heads, strings.Join(head, ""))
			streams[id].ended = f.StreamEnded()
		case *http2.DataFrame:
			streams[id].data = append(streams[id].data, f.Data()...)
			streams[id].ended = f.StreamEnded()
		}
	}
	for _, id := range order {
		s := streams[id]
		fmt.Fprintf(out, "%s\n%s\nended: %t\n", strings.Join(s.heads, "then\n"), s.data, s.ended)
	}
	return nil
}
