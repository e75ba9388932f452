package invisible

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	goopenai "github.com/sashabaranov/go-openai"
)

// pieces sends each piece of a body only when the program has got the one before.
type pieces struct {
	status int
	header map[string]string
	body   []string
	got    chan struct{}
}

func (p *pieces) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	for name, value := range p.header {
		w.Header().Set(name, value)
	}
	var out io.Writer = w
	flush := http.NewResponseController(w).Flush
	if p.header["Content-Encoding"] == "gzip" {
		z := gzip.NewWriter(w)
		defer z.Close()
		out, flush = z, func() error { return errors.Join(z.Flush(), http.NewResponseController(w).Flush()) }
	}
	w.WriteHeader(p.status)
	for _, piece := range p.body {
		if _, err := io.WriteString(out, piece); err != nil || flush() != nil {
			return
		}
		select {
		case <-p.got:
		case <-r.Context().Done():
			return
		}
	}
}

// pass plays a server of pieces to a program that acknowledges each.
func (s *server) pass(t *testing.T, p *pieces, program func(ctx context.Context, base *client, got func())) {
	t.Helper()
	p.got = make(chan struct{})
	s.play(t, p.ServeHTTP, func(base *client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		program(ctx, base, func() {
			select {
			case p.got <- struct{}{}:
			case <-ctx.Done():
				t.Error("the server does not go on")
			}
		})
	})
}

// Whatever the response, the program gets each piece before the next one is sent: compressed
// or not, and of failures too.
func TestEachPieceArrives(t *testing.T) {
	body := []string{"data: 1\n\n", strings.Repeat("x", 10_000), "data: 2\n\n", strings.Repeat("y", 20_000), "z"}
	for _, protocol := range []string{plain, tls2} {
		s := newServer(t, protocol)
		for _, c := range []struct {
			status         int
			typ, encoding  string
			asked, unknown bool // for the encoding, so that it comes as it is; on a path that is not limited
		}{
			{status: 200, typ: "text/event-stream"},
			{status: 200, typ: "text/event-stream", encoding: "gzip"},
			{status: 200, typ: "text/event-stream", encoding: "gzip", asked: true},
			{status: 200, typ: "text/event-stream", unknown: true},
			{status: 200, typ: "application/json"},
			{status: 200, typ: "application/json", encoding: "gzip"},
			{status: 200, typ: "application/octet-stream"},
			{status: 404, typ: "application/json"},
			{status: 429, typ: "application/json"},
			{status: 500, typ: "text/event-stream", encoding: "gzip"},
			{status: 503, typ: "text/event-stream"},
			{status: 503, typ: "text/event-stream", unknown: true},
		} {
			t.Run(fmt.Sprintf("%s/%+v", protocol, c), func(t *testing.T) {
				l := newLimiter(t)
				p := &pieces{status: c.status, header: map[string]string{"Content-Type": c.typ, "Content-Encoding": c.encoding}, body: body}
				url := s.url + limited
				if c.unknown {
					url = s.url + passed
				}
				s.pass(t, p, func(ctx context.Context, base *client, got func()) {
					req := newRequest(t, ctx, "POST", url, question)
					if c.asked {
						req.Header.Set("Accept-Encoding", c.encoding)
					}
					resp, err := l.Client(base).Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					var r io.Reader = resp.Body
					if c.asked {
						if r, err = gzip.NewReader(r); err != nil {
							t.Fatal(err)
						}
					}
					for i, piece := range body {
						b := make([]byte, len(piece))
						if _, err := io.ReadFull(r, b); err != nil || string(b) != piece {
							t.Fatalf("piece %d: %.20q, %v", i, b, err)
						}
						got()
					}
					if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
						t.Errorf("%d more bytes, %v", n, err)
					}
				})
			})
		}
	}
}

// The SDKs, too, hand out each event before the next one is sent.
func TestEachEventArrives(t *testing.T) {
	for _, protocol := range []string{plain, tls2} {
		s := newServer(t, protocol)
		for _, encoding := range []string{"", "gzip"} {
			for _, adapted := range []bool{false, true} {
				for _, sdk := range sdks(t) {
					if adapted && sdk.adapted == nil {
						continue
					}
					t.Run(fmt.Sprint(sdk.name, " over ", protocol, "/", encoding, " adapter ", adapted), func(t *testing.T) {
						l := newLimiter(t)
						body, shown := events(), 3
						if _, ok := sdk.bare(http.DefaultClient, s.url).(*caller); ok {
							body, shown = append(body[:2], body[2]+body[3]), 2 // they show text alone
						}
						for _, stream := range streamsOf(sdk.name) {
							p := &pieces{status: 200, header: map[string]string{"Content-Type": "text/event-stream", "Content-Encoding": encoding}, body: body}
							s.pass(t, p, func(ctx context.Context, base *client, got func()) {
								c := sdk.bare(l.Client(base), s.url)
								if adapted {
									c = sdk.adapted(l, base, s.url)
								}
								n := 0
								err := stream(ctx, c, func() { n++; got() })
								if n != shown || err != nil {
									t.Errorf("%d events of %d, %v", n, shown, err)
								}
							})
						}
					})
				}
			}
		}
	}
}

// streamsOf are an SDK's ways to stream. Each calls got for an event.
func streamsOf(name string) []func(ctx context.Context, c any, got func()) error {
	switch name {
	case "langchaingo", "eino":
		return []func(ctx context.Context, c any, got func()) error{func(ctx context.Context, c any, got func()) error {
			return c.(*caller).stream(ctx, func(piece string) {
				if piece != "" {
					got()
				}
			})
		}}
	case "go-openai":
		return []func(ctx context.Context, c any, got func()) error{func(ctx context.Context, c any, got func()) error {
			s, err := c.(*goopenai.Client).CreateChatCompletionStream(ctx, goopenai.ChatCompletionRequest{
				Model: "gpt-4o", Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: "x"}}})
			if err != nil {
				return err
			}
			defer s.Close()
			for {
				if _, err := s.Recv(); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				got()
			}
		}}
	}
	return []func(ctx context.Context, c any, got func()) error{
		func(ctx context.Context, c any, got func()) error {
			s := c.(*openai.Client).Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
				Model: "gpt-4o", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("x")}})
			defer s.Close()
			for s.Next() {
				got()
			}
			return s.Err()
		},
		func(ctx context.Context, c any, got func()) error {
			s := c.(*openai.Client).Responses.NewStreaming(ctx, responses.ResponseNewParams{
				Model: "gpt-4o", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("x")}})
			defer s.Close()
			for s.Next() {
				got()
			}
			return s.Err()
		},
	}
}
