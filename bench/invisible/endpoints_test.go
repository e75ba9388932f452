package invisible

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/openai-ratelimiter/ratelimiter"
)

// An sdk is a client library and how the limiter goes below it.
type sdk struct {
	name string
	// bare returns a client that sends with d, adapted one with the limiter as the adapter
	// puts it in. That is nil where there is none. doers says that it takes any doer, and not
	// only an *http.Client.
	bare    func(d doer, url string) any
	adapted func(l *ratelimiter.Limiter, base http.RoundTripper, url string) any
	doers   bool
	filler  func() *filler
	args    map[string][]any  // those that a method needs in place of the filler's, but for the context
	silent  map[string]string // methods that send nothing, and why
}

// A method is one that a client offers.
type method struct {
	name string
	call reflect.Value
}

// methods are all exported ones of a client and its services, by the service's name.
func methods(client any) (groups map[string][]method, order []string) {
	groups = map[string][]method{}
	var walk func(v reflect.Value, name string)
	walk = func(v reflect.Value, name string) {
		group, _, _ := strings.Cut(name, ".")
		for i := range v.NumMethod() {
			if _, ok := groups[group]; !ok {
				order = append(order, group)
			}
			groups[group] = append(groups[group], method{strings.TrimPrefix(name+"."+v.Type().Method(i).Name, "."), v.Method(i)})
		}
		for i := range v.Elem().NumField() {
			if f := v.Elem().Type().Field(i); f.IsExported() && f.Type.Kind() == reflect.Struct {
				walk(v.Elem().Field(i).Addr(), strings.TrimPrefix(name+"."+f.Name, "."))
			}
		}
	}
	walk(reflect.ValueOf(client), "")
	return groups, order
}

// try calls a method with whatever it needs, and says all that it returns. A panic is one
// of the SDK's own.
func (m *method) try(ctx context.Context, f *filler, given []any) (said string) {
	defer func() {
		if p := recover(); p != nil {
			said = fmt.Sprintf("panic: %v\n", p)
		}
	}()
	t := m.call.Type()
	n := t.NumIn()
	if t.IsVariadic() {
		n--
	}
	args := make([]reflect.Value, n)
	for i := range args {
		args[i] = reflect.New(t.In(i)).Elem()
		if t.In(i) == reflect.TypeFor[context.Context]() {
			args[i].Set(reflect.ValueOf(ctx))
			continue
		}
		if given != nil {
			args[i].Set(reflect.ValueOf(given[i-1]))
			continue
		}
		f.fill(args[i])
	}
	var b strings.Builder
	for _, out := range m.call.Call(args) {
		b.WriteString(valueText(ctx, out))
	}
	return b.String()
}

// A generic server answers every endpoint with something that the SDKs can read.
type generic struct{ requests atomic.Int64 }

const thing = `{"id":"id_1","object":"thing","created":1,"created_at":1,"model":"gpt-4o","status":"completed","has_more":false,"text":"hello",` +
	`"data":[{"id":"id_2","object":"thing","index":0,"embedding":[0.5],"b64_json":"aGk="}],` +
	`"choices":[{"index":0,"message":{"role":"assistant","content":"An author."},"finish_reason":"stop"}],` +
	`"output":[{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"An author."}]}],` +
	`"usage":{"prompt_tokens":12,"completion_tokens":3,"input_tokens":12,"output_tokens":3,"total_tokens":15}}`

func events() []string {
	return []string{
		"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"delta\":\"An \",\"choices\":[{\"index\":0,\"text\":\"An \",\"delta\":{\"content\":\"An \"}}]}\n\n",
		"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"delta\":\"author\",\"choices\":[{\"index\":0,\"text\":\"author\",\"delta\":{\"content\":\"author\"},\"finish_reason\":\"stop\"}]}\n\n",
		"event: response.completed\ndata: {\"type\":\"response.completed\",\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"response\":" + thing + ",\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":2,\"total_tokens\":14}}\n\n",
		"data: [DONE]\n\n",
	}
}

func (g *generic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests.Add(1)
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		frames(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch path := r.URL.Path; {
	case strings.Contains(string(body), `"stream":true`), strings.Contains(string(body), "name=\"stream\"\r\n\r\ntrue"), r.URL.Query().Get("stream") == "true":
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range events() {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		}
	case strings.HasSuffix(path, "/speech"), strings.HasSuffix(path, "/content"):
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write([]byte("\x00\x01\xff bytes"))
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "req_1")
		w.Header().Set("Openai-Poll-After-Ms", "1")
		_, _ = io.WriteString(w, thing)
	}
}

// frames answers a WebSocket: a frame each way, and the end.
func frames(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	_, got, err := conn.Read(ctx)
	if err != nil {
		return
	}
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"error","got":`+string(got)+`}`)); err != nil {
		return
	}
	_, _, _ = conn.Read(ctx) // its end
}

// talk says a frame over a WebSocket that an SDK has opened, and hears one.
func talk(ctx context.Context, v reflect.Value) (string, bool) {
	c, ok := v.Interface().(interface {
		SendRaw(context.Context, rawMessage) error
		RecvRaw(context.Context) (rawMessage, error)
		Close() error
	})
	if !ok {
		return "", false
	}
	sent := c.SendRaw(ctx, rawMessage(`{"type":"hello"}`))
	got, err := c.RecvRaw(ctx)
	return fmt.Sprintf("sent: %sgot %s: %sclosed: %s", errorText(sent), got, errorText(err), errorText(c.Close())), true
}

// Every endpoint that the SDKs offer is used, and nothing differs. What a newer SDK adds is
// found by reflection; a method that sends nothing must be named, with the reason.
func TestEndpoints(t *testing.T) {
	for _, protocol := range []string{plain, tls2} {
		s := newServer(t, protocol)
		for _, sdk := range sdks(t) {
			_, order := methods(sdk.bare(http.DefaultClient, s.url))
			sent := map[string]bool{}
			for _, group := range order {
				t.Run(fmt.Sprint(sdk.name, " over ", protocol, "/", group), func(t *testing.T) {
					sdk.compare(t, s.url, func(w way[any]) outcome {
						g := new(generic)
						var said strings.Builder
						tape := s.play(t, g.ServeHTTP, func(base *client) {
							ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
							defer cancel()
							found, _ := methods(w.over(base))
							for _, m := range found[group] {
								before := g.requests.Load()
								text := m.try(ctx, sdk.filler(), sdk.args[m.name])
								fmt.Fprintf(&said, "== %s\n%s\n", m.name, text)
								if g.requests.Load() > before {
									sent[m.name] = true
								} else if !sent[m.name] && sdk.silent[m.name] == "" {
									sent[m.name] = true
									t.Errorf("%s sends nothing: %.300s", m.name, text)
								}
							}
						})
						return outcome{"the wire": s.sent(t, tape), "the program": normal(said.String()), "the connections": fmt.Sprint(tape.connections())}
					})

				})
			}
			for name, why := range sdk.silent {
				if sent[name] {
					t.Errorf("%s sends a request, though it is named as one that does not: %s", name, why)
				}
			}
			t.Logf("%s: %d methods send", sdk.name, len(sent))
		}
	}
}
