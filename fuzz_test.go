package ratelimiter_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// FuzzOptions: a configuration is rejected with its faults, or holds: its limits are those
// that State shows, SetLimits takes them as New does, and a call of nothing but a request
// can start, at once or once its budget has refilled.
func FuzzOptions(f *testing.F) {
	f.Add("gpt-5.4-mini", "family", int64(500), int64(10_000), int64(30_000), int64(0), int64(0), int64(4), int64(time.Second), int64(time.Minute))
	f.Add(" M ", "", int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(0), int64(1))
	f.Add("m", "m", int64(-1), int64(1<<62), int64(1<<40), int64(-1<<63), int64(0), int64(1<<50), int64(-1), int64(-1))
	f.Fuzz(func(t *testing.T, model, family string, rpm, rpd, tpm, tpd, ipm, concurrent, burst, pause int64) {
		limits := ratelimiter.Limits{RPM: rpm, RPD: rpd, TPM: tpm, TPD: tpd, IPM: ipm, Concurrent: concurrent, Burst: time.Duration(burst)}
		set := []ratelimiter.Option{ratelimiter.WithLimits(model, limits), ratelimiter.WithShared(family, limits, model), ratelimiter.WithAccountLimits(limits)}
		l, err := ratelimiter.New(append(set, ratelimiter.WithAccount("a"), ratelimiter.WithMaxPause(time.Duration(pause)))...)
		if err != nil {
			if l != nil || !strings.HasPrefix(err.Error(), "ratelimiter: ") {
				t.Errorf("%v and %v", l, err)
			}
			return
		}
		if err := l.SetLimits(set...); err != nil {
			t.Errorf("New takes what SetLimits rejects: %v", err)
		}
		if min(rpm, rpd, tpm, tpd, ipm, concurrent, burst) < 0 || pause <= 0 || strings.TrimSpace(model) == "" {
			t.Errorf("it takes %+v, a pause of %d, a model %q", limits, pause, model)
		}
		call := ratelimiter.Cost{Model: model, Requests: 1}
		if _, err := l.Delay(t.Context(), call); err != nil {
			t.Errorf("%+v: %v", limits, err)
		}
		r, err := l.Acquire(t.Context(), call)
		if err != nil {
			t.Fatalf("%+v: %v", limits, err)
		}
		r.Settle(ratelimiter.Usage{})
		amounts := map[string]int64{"rpm": rpm, "rpd": rpd, "tpm": tpm, "tpd": tpd, "ipm": ipm, "concurrent": concurrent}
		state, err := l.State(t.Context())
		if err != nil || len(state.Scopes) != 1 {
			t.Fatalf("%+v, %v", state, err)
		}
		shown := map[string]int{}
		for _, limit := range state.Scopes[0].Limits {
			if want, ok := amounts[limit.Name]; !ok || limit.Limit != want || limit.Remaining < 0 || limit.Remaining > limit.Limit {
				t.Errorf("%s of %s: %d remain of %d, want %d", limit.Name, limit.Owner, limit.Remaining, limit.Limit, want)
			}
			shown[limit.Name]++
		}
		for name, amount := range amounts {
			if want := 3 * min(amount, 1); int64(shown[name]) != want {
				t.Errorf("%s of %d is shown %d times", name, amount, shown[name])
			}
		}
	})
}

// FuzzNew: of options of all kinds in any order, with any arguments, a limiter is made through
// which a call of any class passes or is rejected, or all their faults are reported.
func FuzzNew(f *testing.F) {
	f.Add("limits m 60 6000\nshared f 100 0\naccount-limits x 1000 0\nclass batch 10 0\nmax-wait x 0 0", "m", "batch")
	f.Add("class batch -1 1e300\nclass  NaN 5\nmax-waiting x -1 0\nmax-pause x 0 0\ndigest short 0 0\nendpoint /?x 9 0\ndecoder gzip 0 0", " M ", "no such class")
	f.Add("shadow x 0 0\nfail-open x 0 0\nfallback x 5 5\nrejections x 0 0\nusage x 0 0\nexact x 0 0\naccount x 0 0\nbackend x 0 0\nnil x 0 0", "", "")
	f.Fuzz(func(t *testing.T, script, model, class string) {
		var options []ratelimiter.Option
		classes := map[string]ratelimiter.Class{}
		for line := range strings.Lines(script) {
			var name string
			var a, b float64
			kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if fields := strings.Split(rest, " "); len(fields) >= 3 {
				name = strings.Join(fields[:len(fields)-2], " ")
				a, _ = strconv.ParseFloat(fields[len(fields)-2], 64)
				b, _ = strconv.ParseFloat(fields[len(fields)-1], 64)
			}
			limits := ratelimiter.Limits{RPM: int64(a), TPM: int64(b)}
			switch kind {
			case "limits":
				options = append(options, ratelimiter.WithLimits(name, limits))
			case "shared":
				options = append(options, ratelimiter.WithShared(name, limits, model, name))
			case "account-limits":
				options = append(options, ratelimiter.WithAccountLimits(limits))
			case "account":
				options = append(options, ratelimiter.WithAccount(name))
			case "class":
				classes[name] = ratelimiter.Class{Weight: a, Limits: ratelimiter.Limits{RPM: int64(b)}, MaxWait: time.Duration(a)}
				options = append(options, ratelimiter.WithClasses(classes))
			case "max-wait":
				options = append(options, ratelimiter.WithMaxWait(time.Duration(a)))
			case "max-waiting":
				options = append(options, ratelimiter.WithMaxWaiting(int(a)))
			case "max-pause":
				options = append(options, ratelimiter.WithMaxPause(time.Duration(a)))
			case "digest":
				options = append(options, ratelimiter.WithDigestKey([]byte(name)))
			case "endpoint":
				options = append(options, ratelimiter.WithEndpoint(name, ratelimiter.Accounting(int(a))))
			case "decoder":
				options = append(options, ratelimiter.WithDecoder(name, func(r io.Reader) (io.Reader, error) { return r, nil }))
			case "fallback":
				options = append(options, ratelimiter.WithFallback(limits))
			case "warnings":
				options = append(options, ratelimiter.WithWarnings(nil, time.Duration(a)))
			case "backend":
				options = append(options, ratelimiter.WithBackend(nil))
			case "shadow":
				options = append(options, ratelimiter.WithShadow())
			case "fail-open":
				options = append(options, ratelimiter.WithFailOpen())
			case "rejections":
				options = append(options, ratelimiter.WithRejectionResponses())
			case "usage":
				options = append(options, ratelimiter.WithStreamUsage())
			case "exact":
				options = append(options, ratelimiter.WithExactCounts())
			case "nil":
				options = append(options, nil)
			}
		}
		l, err := ratelimiter.New(append(options, ratelimiter.WithWarnings(slog.New(slog.DiscardHandler), 0))...)
		if err != nil {
			if l != nil || !strings.HasPrefix(err.Error(), "ratelimiter: ") {
				t.Errorf("%v and %v", l, err)
			}
			return
		}
		ctx := ratelimiter.ContextWithMaxWait(ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(t.Context(), class), model), 0)
		for range 3 {
			r, err := l.Acquire(ctx, ratelimiter.Chat{Model: model, MaxTokens: 10, Messages: []ratelimiter.Message{{Role: "user", Content: script}}})
			if own := (*ratelimiter.Error)(nil); err != nil && !errors.As(err, &own) {
				t.Errorf("%v", err)
			} else if err == nil {
				r.Settle(ratelimiter.Usage{InputTokens: 5})
			}
		}
		for _, account := range l.Accounts() {
			state, err := l.State(ratelimiter.ContextWithAccount(t.Context(), account))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(state); err != nil {
				t.Error(err)
			}
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// FuzzTransport: whatever a program sends, and whatever a server answers, each gets the other's
// bytes, nothing of the call is left once its body is closed, no configured limit has grown, and
// the next call starts within the longest pause.
func FuzzTransport(f *testing.F) {
	const form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n"
	const stream = "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: {\"choices\":[],\"usage\":{\"total_tokens\":12}}\n\ndata: [DONE]\n\n"
	const throttle = `{"error":{"message":"Rate limit reached for m on tokens per min (TPM): Limit 30000, Used 22999, Requested 7822. Please try again in 1.642s.","code":"rate_limit_exceeded"}}`
	f.Add("/v1/chat/completions", "application/json", chatBody("m", 10, false), uint16(200), "Content-Type: application/json\nX-Ratelimit-Limit-Tokens: 60000\nX-Ratelimit-Remaining-Tokens: 59000", usageBody, uint8(7))
	f.Add("/v1/chat/completions", "application/json", chatBody("m", 10, true), uint16(200), "Content-Type: text/event-stream", stream, uint8(1))
	f.Add("/v1/responses", "application/json", `{"model":"m","input":"a","previous_response_id":"1"}`, uint16(429), "Retry-After: 7\nX-Ratelimit-Reset-Tokens: 23h", throttle, uint8(0))
	f.Add("/openai/deployments/m/chat/completions", "", "{", uint16(503), "Retry-After-Ms: 1", "<html>", uint8(255))
	f.Add("/v1/audio/transcriptions", "multipart/form-data; boundary=b", form, uint16(413), "Content-Encoding: gzip", compress(f, "gzip", throttle), uint8(3))
	f.Add("/v1/images/edits", "multipart/form-data; boundary=b", form, uint16(200), "Content-Encoding: deflate, gzip\nContent-Type: text/event-stream", compress(f, "gzip", compress(f, "deflate", stream)), uint8(2))
	f.Add("/v1/files", "", "", uint16(204), "", "", uint8(0))
	f.Fuzz(func(t *testing.T, path, contentType, body string, status uint16, head, answer string, size uint8) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.openai.com", io.NopCloser(iotest.HalfReader(strings.NewReader(body))))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Path = path
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Content-Encoding", []string{"", "gzip", "deflate", "what"}[size%4])
		header := http.Header{}
		for line := range strings.Lines(head) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			header.Add(name, value)
		}
		set := ratelimiter.Limits{RPM: 600, TPM: 60_000, RPD: 10_000, Concurrent: 4}
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithAccountLimits(set), ratelimiter.WithMaxWait(0), ratelimiter.WithWarnings(nil, 0))
		sent := false
		resp, err := l.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			got, err := io.ReadAll(r.Body)
			if sent = true; err != nil || string(got) != body {
				t.Errorf("%q arrives, want %q: %v", got, body, err)
			}
			return &http.Response{
				StatusCode: 200 + int(status)%400, Header: header.Clone(), ContentLength: -1,
				Body: io.NopCloser(&byPieces{strings.NewReader(answer), 1 + int(size)}),
			}, r.Body.Close()
		})).RoundTrip(req)
		if err != nil {
			if own := (*ratelimiter.Error)(nil); sent || !errors.As(err, &own) {
				t.Errorf("%v", err)
			}
		} else {
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != answer || !reflect.DeepEqual(resp.Header, header) || resp.StatusCode != 200+int(status)%400 {
				t.Errorf("%d with %q, %q comes: %v; want %q, %q", resp.StatusCode, resp.Header, got, err, header, answer)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, s := range stateOf(t, l).Scopes {
			if s.InFlight != 0 || s.Waiting != 0 {
				t.Errorf("of %q %d are in flight and %d wait", s.Model, s.InFlight, s.Waiting)
			}
			amounts := map[string]int64{"rpm": set.RPM, "tpm": set.TPM, "rpd": set.RPD}
			for _, limit := range s.Limits {
				if most, ok := amounts[limit.Name]; ok && limit.Owner == "account" && limit.Limit > most || limit.Remaining > limit.Limit ||
					limit.Name == "concurrent" && limit.Remaining < set.Concurrent {
					t.Errorf("%+v", limit)
				}
			}
			wait, err := l.Delay(t.Context(), ratelimiter.Cost{Model: s.Model, Requests: 1})
			// It may have been charged more than a minute's.
			if err != nil || wait > 48*time.Hour {
				t.Errorf("the next call of %q waits %v: %v", s.Model, wait, err)
			}
		}
	})
}

// byPieces gives no more than so many bytes at once.
type byPieces struct {
	io.Reader
	size int
}

func (b *byPieces) Read(p []byte) (int, error) { return b.Reader.Read(p[:min(len(p), b.size)]) }
