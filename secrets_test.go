package ratelimiter_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// A witnessed store writes down all that it is asked and told.
type witnessed struct {
	*keeper
	seen *lines
}

func (w *witnessed) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	fmt.Fprintf(w.seen, "%+v\n", ask)
	return w.keeper.Take(ctx, ask)
}

func (w *witnessed) Settle(ctx context.Context, s backend.Settlement) error {
	fmt.Fprintf(w.seen, "%+v\n", s)
	return w.keeper.Settle(ctx, s)
}

func (w *witnessed) Keep(ctx context.Context, account, scope string, note []byte, ttl time.Duration) error {
	fmt.Fprintf(w.seen, "%s %s %s\n", account, scope, note)
	return w.keeper.Keep(ctx, account, scope, note, ttl)
}

// No API key, token, prompt or answer stands in a log, a hook, an error, a state, a backend's
// ask or a note, whatever the server answers.
func TestNothingSecretGetsOut(t *testing.T) {
	const prompt, answer = "xyzzy-prompt", "xyzzy-answer"
	jwt := "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"xyzzy-issuer","sub":"xyzzy-subject"}`)) + ".xyzzysignature"
	credentials := map[string]string{
		"Authorization": "Bearer sk-proj-xyzzy-one", "Api-Key": "xyzzy-two", "X-Api-Key": "xyzzy-three", "X-Goog-Api-Key": "xyzzy-four",
		"authorization": "Bearer " + jwt, "AUTHORIZATION": "Basic eHl6enktYmFzaWM=",
		"X-Portkey-Api-Key": "xyzzy-five", "?key=": "xyzzy-six", "?key=xyzzy-six&api%2Dkey=": "xyzzy-seven+xyzzy-eight%3D",
	}
	failure := func(status int, code string) func(key string) *http.Response {
		return func(key string) *http.Response {
			text := `{"error":{"message":"Rate limit reached for the key ` + key + `, on tokens per min (TPM): Limit 600, Used 600, Requested 300. Please try again in 1s.","code":"` + code + `"}}`
			return response(status, "application/json", io.NopCloser(strings.NewReader(text)))
		}
	}
	answers := map[string]func(key string) *http.Response{
		"usage": func(string) *http.Response {
			return response(200, "application/json", io.NopCloser(strings.NewReader(`{"id":"xyzzy-id","choices":[{"message":{"content":"`+answer+`"}}],"usage":{"prompt_tokens":5,"completion_tokens":5,"total_tokens":10}}`)))
		},
		"a stream": func(string) *http.Response {
			return response(200, "text/event-stream", io.NopCloser(strings.NewReader("data: {\"choices\":[{\"delta\":{\"content\":\""+answer+"\"}}]}\n\ndata: [DONE]\n\n")))
		},
		"a throttle":                   failure(429, "rate_limit_exceeded"),
		"a throttle inside a response": failure(200, "rate_limit_exceeded"),
		"a throttle that is cut within the key": func(key string) *http.Response {
			text := `{"error":{"code":"rate_limit_exceeded","message":"` + strings.Repeat("x", 1024-7) + key + `"}}`
			return response(429, "application/json", io.NopCloser(strings.NewReader(text)))
		},
		"a quota":     failure(429, "insufficient_quota"),
		"no key":      failure(401, "invalid_api_key"),
		"too large":   failure(413, "rate_limit_exceeded"),
		"an overload": failure(503, "server_is_overloaded"),
	}
	for header, credential := range credentials {
		t.Run(header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out, state lines
				var mu sync.Mutex
				note := func(x any) {
					mu.Lock()
					defer mu.Unlock()
					fmt.Fprintf(&out, "%+v %#v\n", x, x)
				}
				log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
				l := newLimiter(t, ratelimiter.WithWarnings(log, time.Second), ratelimiter.WithBackend(&witnessed{newKeeper(), &out}),
					ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 6000}),
					ratelimiter.WithTrace(ratelimiter.LogTrace(log, &ratelimiter.LogOptions{Accounts: true})),
					ratelimiter.WithTrace(&ratelimiter.Trace{
						Waiting:     func(_ context.Context, i ratelimiter.WaitingInfo) { note(i) },
						Started:     func(_ context.Context, i ratelimiter.StartedInfo) { note(i) },
						NotStarted:  func(_ context.Context, i ratelimiter.NotStartedInfo) { note(i); note(fmt.Sprint(i.Err)) },
						Observed:    func(_ context.Context, i ratelimiter.ObservedInfo) { note(i) },
						Paused:      func(_ context.Context, i ratelimiter.PausedInfo) { note(i) },
						Settled:     func(_ context.Context, i ratelimiter.SettledInfo) { note(i) },
						Credentials: func(_ context.Context, i ratelimiter.CredentialsInfo) { note(i) },
						Command:     func(i ratelimiter.CommandInfo) { note(i) },
					}))
				for name, answer := range answers {
					l := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
						return answer(strings.TrimPrefix(credential, "Bearer ")), nil
					}))
					for _, maxTokens := range []int{10, 2000, 2000, 2000, 10_000} { // some wait, one is too large
						text := strings.Replace(chatBody("m", maxTokens, name == "a stream"), "Who is Joseph Conrad?", prompt, 1)
						text = strings.Replace(text, "{", `{"previous_response_id":"xyzzy-id","user":"xyzzy-user",`, 1)
						req := newRequest(t, ratelimiter.ContextWithMaxWait(t.Context(), time.Minute), chatURL, strings.NewReader(text))
						if parameter, ok := strings.CutPrefix(header, "?"); ok {
							req.URL.RawQuery = parameter + credential
						} else {
							req.Header.Set(header, credential)
						}
						resp, err := l.Do(req)
						if err != nil {
							note(errors.Unwrap(err).Error()) // net/http puts the URL around it
							continue
						}
						if _, err := io.ReadAll(resp.Body); err != nil {
							t.Error(err)
						}
						resp.Body.Close()
					}
				}
				time.Sleep(time.Minute) // notes are saved
				for _, account := range l.Accounts() {
					s, err := l.State(ratelimiter.ContextWithAccount(t.Context(), account))
					if err != nil {
						t.Fatal(err)
					}
					if err := json.NewEncoder(&state).Encode(s); err != nil {
						t.Fatal(err)
					}
				}
				got := out.take() + state.take()
				for _, secret := range []string{"xyzzy", jwt, "eHl6enktYmFzaWM"} {
					if at := strings.Index(got, secret); at >= 0 {
						t.Errorf("%s stands in …%s…", secret, got[max(0, at-200):min(len(got), at+50)])
					}
				}
				for _, said := range []string{"throttled by the server", "call not started", "Limit 600", `"account":`, `"v":`} {
					if !strings.Contains(got, said) {
						t.Errorf("nothing says %s: the test sees too little", said)
					}
				}
			})
		})
	}
}

// No verb of fmt prints a key or a prompt out of what a program holds: the limiter, its
// transport, options and reservations, the context of a request that is sent, the body of a
// response.
func TestNothingSecretIsPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const secret = "xyzzy-a-secret-of-some-length"
		key := ratelimiter.WithDigestKey([]byte(secret))
		l := newLimiter(t, key, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 6000}))
		var sent context.Context
		transport := l.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			sent = r.Context()
			return response(200, "application/json", io.NopCloser(strings.NewReader(usageBody))), nil
		}))
		req := newRequest(t, t.Context(), chatURL, strings.NewReader(strings.Replace(chatBody("m", 10, false), "Who is", secret, 1)))
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		r := acquire(t, l, ratelimiter.Chat{Model: "m", Messages: []ratelimiter.Message{{Role: "user", Content: secret}}})
		defer r.Cancel()
		if err := l.Shutdown(t.Context()); err != nil { // or what is printed would change meanwhile
			t.Fatal(err)
		}
		synctest.Wait() // for the last goroutine to have let go of its locks
		forms := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)}
		for _, list := range []string{fmt.Sprint([]byte(secret)), fmt.Sprintf("%o", []byte(secret)), fmt.Sprintf("%#v", []byte(secret))} {
			forms = append(forms, strings.Trim(list[strings.IndexAny(list, "[{"):], "[]{}"))
		}
		for what, x := range map[string]any{"the limiter": l, "its value": reflect.ValueOf(l).Elem().Interface(), "the transport": transport, "an option": key, "a reservation": r, "the context": sent, "the response's body": resp.Body} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%o", "%t", "%p", "%T"} {
				printed := fmt.Sprintf(verb, x)
				for _, form := range forms {
					if at := strings.Index(printed, form); at >= 0 {
						t.Errorf("%s as %s: …%s…", what, verb, printed[max(0, at-100):min(len(printed), at+50)])
					}
				}
			}
		}
	})
}
