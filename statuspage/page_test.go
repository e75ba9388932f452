package statuspage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
	"github.com/openai-ratelimiter/ratelimiter/statuspage"
)

var chat = ratelimiter.WithClasses(map[string]ratelimiter.Class{"chat": {}})

// newLimiter makes one that warns of nothing.
func newLimiter(t *testing.T, options ...ratelimiter.Option) *ratelimiter.Limiter {
	t.Helper()
	l, err := ratelimiter.New(append(options, ratelimiter.WithWarnings(nil, 0))...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serve(t *testing.T, h http.Handler, req *http.Request, status int) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != status {
		t.Errorf("%s %s: status %d, want %d: %s", req.Method, req.URL, w.Code, status, w.Body)
	}
	return w
}

func get(t *testing.T, h http.Handler, target string, status int) *httptest.ResponseRecorder {
	t.Helper()
	return serve(t, h, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody), status)
}

// A page is what the JSON says, as far as tests read it.
type page struct {
	Backend *struct {
		Available bool
		Error     string
		Age       time.Duration `json:"age_ns"`
	}
	Accounts []struct {
		ratelimiter.State
		Fleet      *ratelimiter.FleetState
		FleetError string `json:"fleet_error"`
		Error      string
		Scopes     []scope `json:"scopes"`
	}
}

type scope struct {
	ratelimiter.ScopeState
	Waiters []struct {
		Class, Tenant string
		Waiting       int
		Oldest        time.Duration `json:"oldest_ns"`
	}
	Use *struct {
		Unit       string
		LastMinute int64 `json:"last_minute"`
	}
	Rejections *struct{ Codes map[string]int }
}

func state(t *testing.T, h http.Handler) (p page) {
	t.Helper()
	w := get(t, h, "/?format=json", http.StatusOK)
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return p
}

// What calls do is in the JSON, each thing under the name that the package's comment gives it.
func TestJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 60, TPM: 6000}), openaitest.WithLatency(time.Second, time.Second))
		server.Inject(1, openaitest.Answer{})
		server.Inject(1, openaitest.SlowDown(20*time.Second))
		h := statuspage.New(statuspage.WithClear())
		limits := ratelimiter.Limits{RPM: 60, TPM: 6000}
		l := newLimiter(t, h, ratelimiter.WithAccount("team"), ratelimiter.WithLimits("m", limits), ratelimiter.WithLimits("n", limits), chat)
		client := l.Client(server.Direct())
		ctx := ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(t.Context(), "chat"), "acme")
		post := func(ctx context.Context) error {
			body := `{"model":"m","max_completion_tokens":1000,"messages":[{"role":"user","content":"Name a star."}]}`
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.openai.com/v1/chat/completions", strings.NewReader(body))
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		}
		for range 2 { // one succeeds, one is throttled
			if err := post(ctx); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		hasty, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if err := post(hasty); !errors.Is(err, ratelimiter.ErrDeadline) {
			t.Errorf("error %v", err)
		}
		waiting, leave := context.WithCancel(ctx)
		var running sync.WaitGroup
		running.Go(func() {
			if err := post(waiting); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
		time.Sleep(3 * time.Second)
		body := get(t, h, "/?format=json", http.StatusOK).Body.Bytes()
		var p any
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		leaves(p, "", got)
		for key, want := range map[string]any{
			"up_ns": 6e9, "clear": true, "accounts.account": "team",
			"accounts.scopes.model": "m", "accounts.scopes.waiting": 1., "accounts.scopes.oldest_ns": 3e9, "accounts.scopes.paused_ns": 16e9,
			"accounts.scopes.waiters.class": "chat", "accounts.scopes.waiters.tenant": "acme",
			"accounts.scopes.waiters.waiting": 1., "accounts.scopes.waiters.oldest_ns": 3e9,
			"accounts.scopes.use.unit": "tokens", "accounts.scopes.use.step_ns": 10e9, "accounts.scopes.use.amounts": 0., "accounts.scopes.use.last_minute": 261.,
			"accounts.scopes.throttles.count": 1., "accounts.scopes.throttles.kind": "slow_down", "accounts.scopes.throttles.age_ns": 4e9, "accounts.scopes.throttles.paused_ns": 20e9,
			"accounts.scopes.throttles.message": "Slow down: your request rate has increased too quickly. Please reduce it and ramp up gradually.",
			"accounts.scopes.rejections.count":  1., "accounts.scopes.rejections.codes.deadline": 1., "accounts.scopes.rejections.age_ns": 3e9,
			"accounts.scopes.response.status": 429., "accounts.scopes.response.age_ns": 4e9, "accounts.scopes.response.latency_ns": 0.,
			"accounts.scopes.response.requests.limit": 60., "accounts.scopes.response.requests.remaining": 59.,
			"accounts.scopes.response.requests.reset_ns": 1e9, "accounts.scopes.response.requests.corrected": 0.,
			"accounts.scopes.limits.source": "configured", "accounts.classes.class": "chat", "accounts.tenants.tenant": "acme",
		} {
			if got[key] != want {
				t.Errorf("%s is %v, want %v", key, got[key], want)
			}
		}
		if t.Failed() {
			t.Logf("%s", body)
		}
		leave()
		running.Wait()
		time.Sleep(time.Second)
		s := state(t, h).Accounts[0].Scopes[0]
		if s.Waiting != 0 || s.Waiters != nil || s.Rejections.Codes["cancelled"] != 1 || s.Rejections.Codes["deadline"] != 1 {
			t.Errorf("after it has left: %+v", s)
		}
	})
}

// In shadow the report of what would have been is in the JSON, and only then.
func TestShadow(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := statuspage.New()
			options := []ratelimiter.Option{h, ratelimiter.WithAccount("team"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPD: 1})}
			if shadow {
				options = append(options, ratelimiter.WithShadow())
			}
			l := newLimiter(t, options...)
			if r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: "m", Requests: 2}); err == nil {
				r.Cancel()
			}
			synctest.Wait() // the call's fate is known
			got := map[string]any{}
			var p any
			if err := json.Unmarshal(get(t, h, "/?format=json", http.StatusOK).Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
			leaves(p, "", got)
			if rejected, ok := got["shadow.total.rejected.too_large"]; ok != shadow || shadow && rejected != 1. {
				t.Errorf("shadow %v: %v", shadow, got)
			}
		})
	}
}

// leaves collects what is in v by path; of a list what is first in it.
func leaves(v any, path string, into map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			leaves(x, strings.TrimPrefix(path+"."+key, "."), into)
		}
	case []any:
		if len(v) > 0 {
			leaves(v[0], path, into)
		}
	default:
		into[path] = v
	}
}

// The page's files are all there are, and say what they are. Their addresses are relative.
func TestFiles(t *testing.T) {
	h := statuspage.New()
	newLimiter(t, h)
	html := get(t, h, "/any/path", http.StatusOK)
	for _, c := range []struct{ query, contentType, says string }{
		{"", "text/html; charset=utf-8", `<link rel="stylesheet" href="?file=page.css">`},
		{"?file=page.js", "text/javascript; charset=utf-8", `fetch("?format=json"`},
		{"?file=page.css", "text/css; charset=utf-8", "prefers-color-scheme: dark"},
		{"?file=icon.svg", "image/svg+xml", "<svg"},
	} {
		w := get(t, h, "/any/path"+c.query, http.StatusOK)
		if got := w.Header().Get("Content-Type"); got != c.contentType || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%q is %q:\n%s", c.query, got, w.Body)
		}
		if c.query != "" && !strings.Contains(html.Body.String(), `"`+c.query+`"`) {
			t.Errorf("the page does not name %s", c.query)
		}
		for key, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
			if got := w.Header().Get(key); got != want {
				t.Errorf("%q: %s is %q", c.query, key, got)
			}
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
			t.Errorf("%q: %s", c.query, csp)
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+c.query, http.NoBody)
		req.Header.Set("If-None-Match", w.Header().Get("ETag"))
		serve(t, h, req, http.StatusNotModified)
		if w := serve(t, h, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/"+c.query, http.NoBody), http.StatusOK); w.Body.Len() != 0 {
			t.Errorf("%q: a HEAD has a body", c.query)
		}
	}
	for _, query := range []string{"?file=page.html", "?file=../statuspage.go", "?format=xml"} {
		get(t, h, "/"+query, http.StatusNotFound)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		w := serve(t, h, httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody), http.StatusMethodNotAllowed)
		if got := w.Header().Get("Allow"); got != "GET, HEAD" {
			t.Errorf("%s: Allow is %q", method, got)
		}
	}
	put := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", http.NoBody)
	if got := serve(t, statuspage.New(statuspage.WithClear()), put, http.StatusMethodNotAllowed).Header().Get("Allow"); got != "GET, HEAD, POST" {
		t.Errorf("Allow is %q with WithClear", got)
	}
}

// A page that no limiter was made with says what to do. One that has a limiter takes no other.
func TestOnePageOneLimiter(t *testing.T) {
	for _, h := range []*statuspage.Page{statuspage.New(nil), {}} {
		if w := get(t, h, "/?format=json", http.StatusServiceUnavailable); !strings.Contains(w.Body.String(), "give it to ratelimiter.New") {
			t.Errorf("says %s", w.Body)
		}
	}
	h := statuspage.New(statuspage.WithClear())
	serve(t, h, form("team", "m"), http.StatusServiceUnavailable)
	newLimiter(t, h)
	if _, err := ratelimiter.New(h); err == nil || !strings.Contains(err.Error(), "make a page for each") {
		t.Errorf("a second limiter: error %v", err)
	}
}

func form(account, model string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://page.test/status", strings.NewReader(url.Values{"account": {account}, "model": {model}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// Clear is for pages of the same origin, and for programs that are no browser.
func TestClear(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"no browser", func(*http.Request) {}, http.StatusNoContent},
		{"the page itself", func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Origin", "http://page.test")
		}, http.StatusNoContent},
		{"another site", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"another host of the site", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, http.StatusForbidden},
		{"an older browser on another site", func(r *http.Request) { r.Header.Set("Origin", "http://other.test") }, http.StatusForbidden},
		{"no form", func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, http.StatusBadRequest},
		{"a form that is too long", func(r *http.Request) { *r = *form("team", strings.Repeat("m", 1<<20)) }, http.StatusBadRequest},
		{"an account that is not known", func(r *http.Request) { *r = *form("other", "m") }, http.StatusBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := statuspage.New(statuspage.WithClear())
				l := newLimiter(t, h, ratelimiter.WithAccount("team"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, Burst: time.Minute}))
				r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: "m", Requests: 40})
				if err != nil {
					t.Fatal(err)
				}
				r.Settle(ratelimiter.Usage{})
				if n := state(t, h).Accounts[0].Scopes[0].Limits[0].Remaining; n != 20 {
					t.Fatalf("%d remain", n)
				}
				req := form("team", "m")
				c.change(req)
				serve(t, h, req, c.status)
				want := int64(20)
				if c.status == http.StatusNoContent {
					want = 60
				}
				if n := state(t, h).Accounts[0].Scopes[0].Limits[0].Remaining; n != want {
					t.Errorf("%d remain, want %d", n, want)
				}
			})
		})
	}
}

// A form without a model clears nothing: only one that says so clears all of the account.
func TestClearAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := statuspage.New(statuspage.WithClear())
		limits := ratelimiter.Limits{RPM: 60}
		l := newLimiter(t, h, ratelimiter.WithAccount("team"), ratelimiter.WithLimits("m", limits), ratelimiter.WithLimits("n", limits))
		for _, model := range []string{"m", "n"} {
			r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: model, Requests: 40})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
		}
		remain := func() (n int64) {
			for _, s := range state(t, h).Accounts[0].Scopes {
				n += s.Limits[0].Remaining
			}
			return n
		}
		before := remain()
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("account=team"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		serve(t, h, r, http.StatusBadRequest)
		if n := remain(); n != before {
			t.Errorf("%d remain, %d before", n, before)
		}
		serve(t, h, form("team", ""), http.StatusNoContent)
		if n := remain(); n != 120 {
			t.Errorf("%d remain", n)
		}
	})
}

// away is a store that is no memory, counts who looks, and does not answer when it is down.
type away struct {
	backend.Backend
	looks atomic.Int64
	down  atomic.Bool
}

var errAway = fmt.Errorf("the store is away: %w", backend.ErrUnavailable)

func (a *away) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	a.looks.Add(1)
	if err := ctx.Err(); err != nil {
		return backend.Answer{}, err
	}
	if a.down.Load() {
		return backend.Answer{}, errAway
	}
	return a.Backend.Look(ctx, ask)
}

func (a *away) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if a.down.Load() {
		return backend.Answer{}, errAway
	}
	return a.Backend.Take(ctx, ask)
}

func (a *away) Clear(ctx context.Context, account string, owners []string) error {
	if a.down.Load() {
		return errAway
	}
	return a.Backend.Clear(ctx, account, owners)
}

// However many look at the page, the store is asked once a second. Nobody whose request has
// ended gets others to see that.
func TestLooksAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &away{Backend: memory.New()}
		h := statuspage.New()
		newLimiter(t, h, ratelimiter.WithBackend(store), ratelimiter.WithAccount("team"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60}))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 { // some come before they are seen to be gone
			serve(t, h, httptest.NewRequestWithContext(gone, http.MethodGet, "/?format=json", http.NoBody), http.StatusServiceUnavailable)
		}
		store.looks.Store(0)
		for second := range int64(3) {
			var viewers sync.WaitGroup
			for range 10 {
				viewers.Go(func() {
					if p := state(t, h); p.Accounts[0].Error != "" || !p.Backend.Available {
						t.Errorf("%+v", p)
					}
				})
			}
			viewers.Wait()
			if n := store.looks.Load(); n != second+1 {
				t.Errorf("after %d s: %d looks", second, n)
			}
			time.Sleep(time.Second)
		}
	})
}

// While the store does not answer the page says so, asks once for all accounts, and shows what
// the process knows of itself.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &away{Backend: memory.New()}
		h := statuspage.New(statuspage.WithClear())
		l := newLimiter(t, h, chat, ratelimiter.WithBackend(store), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1}))
		ctx, leave := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, account := range []string{"a", "b"} {
			ctx := ratelimiter.ContextWithAccount(ratelimiter.ContextWithClass(ctx, "chat"), account)
			r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m"})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
			running.Go(func() { _, _ = l.Acquire(ctx, ratelimiter.Cost{Model: "m"}) })
		}
		time.Sleep(3 * time.Second)
		store.down.Store(true)
		store.looks.Store(0)
		p := state(t, h)
		if len(p.Accounts) != 2 || store.looks.Load() != 1 || p.Backend.Available || !strings.Contains(p.Backend.Error, "away") {
			t.Errorf("%d looks, %+v", store.looks.Load(), p)
		}
		for _, a := range p.Accounts {
			if len(a.Scopes) != 1 || !strings.Contains(a.Error, "away") {
				t.Fatalf("%+v", a)
			}
			s := a.Scopes[0]
			if s.Waiting != 1 || s.Oldest != 3*time.Second || s.Waiters[0].Class != "chat" || s.Use.Unit != "requests" || s.Use.LastMinute != 1 {
				t.Errorf("%+v", s)
			}
		}
		serve(t, h, form("a", "m"), http.StatusBadGateway)
		leave()
		running.Wait()
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Processes that share a store see each other on the page of each.
func TestFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		h := statuspage.New()
		limits := ratelimiter.WithLimits("m", ratelimiter.Limits{RPD: 144})
		own := newLimiter(t, h, ratelimiter.WithAccount("team"), ratelimiter.WithBackend(store), limits)
		other := newLimiter(t, ratelimiter.WithAccount("team"), ratelimiter.WithBackend(store), limits)
		use := func(l *ratelimiter.Limiter, n int64) {
			r, err := l.Acquire(t.Context(), ratelimiter.Cost{Model: "m", Requests: n})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
		}
		use(own, 36)
		if f := state(t, h).Accounts[0].Fleet; f != nil {
			t.Errorf("one process is a fleet: %+v", f)
		}
		use(other, 108)
		ctx, leave := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() { _, _ = other.Acquire(ctx, ratelimiter.Cost{Model: "m"}) })
		time.Sleep(5 * time.Second)
		f := state(t, h).Accounts[0].Fleet
		if f == nil || len(f.Processes) != 2 || f.Waiting != 1 || f.Charged != 144 {
			t.Fatalf("%+v", f)
		}
		for _, p := range f.Processes {
			want := 0.75
			if p.Own {
				want = 0.25
			}
			if p.Share != want || p.Models[0].Model != "m" || p.Waiting != map[bool]int{false: 1}[p.Own] {
				t.Errorf("%+v", p)
			}
		}
		leave()
		waiting.Wait()
		for _, l := range []*ratelimiter.Limiter{own, other} {
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// silent is a store that shows no fleet.
type silent struct{ *memory.Backend }

func (silent) Reports(context.Context, string) ([]backend.Report, error) { return nil, errAway }

// A fleet that can't be read hides nothing else.
func TestFleetAway(t *testing.T) {
	h := statuspage.New()
	newLimiter(t, h, ratelimiter.WithAccount("team"), ratelimiter.WithBackend(silent{memory.New()}), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60}))
	a := state(t, h).Accounts[0]
	if a.Error != "" || len(a.Scopes) != 1 || !strings.Contains(a.FleetError, "away") {
		t.Errorf("%+v", a)
	}
}

// What a class with limits of its own does is told apart from what the others of the model do.
func TestClassWithLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := statuspage.New()
		l := newLimiter(t, h, ratelimiter.WithAccount("team"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, Burst: time.Minute}),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {Limits: ratelimiter.Limits{RPM: 60, Burst: time.Minute}}, "chat": {}, "": {}}))
		for class, n := range map[string]int64{"batch": 30, "chat": 20, "": 10} {
			r, err := l.Acquire(ratelimiter.ContextWithClass(t.Context(), class), ratelimiter.Cost{Model: "m", Requests: n})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
		}
		got := map[string]int64{}
		for _, s := range state(t, h).Accounts[0].Scopes {
			got[s.Model+" "+s.Class] = s.Use.LastMinute
		}
		if len(got) != 2 || got["m batch"] != 30 || got["m "] != 30 {
			t.Errorf("%v", got)
		}
	})
}

// What was used before any account was known belongs to the first one that is.
func TestAccountTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := statuspage.New()
		l := newLimiter(t, h, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 6000}))
		if p := state(t, h); len(p.Accounts) != 1 || len(p.Accounts[0].Scopes) != 1 {
			t.Errorf("what is configured is not shown: %+v", p)
		}
		for _, account := range []string{"", "first", "second", ""} {
			ctx := t.Context()
			if account != "" {
				ctx = ratelimiter.ContextWithAccount(ctx, account)
			} else if len(l.Accounts()) > 1 {
				ctx = ratelimiter.ContextWithAccount(ctx, "unnamed") // which is the first from now on
			}
			r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m", Tokens: 100})
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{InputTokens: 100})
		}
		time.Sleep(time.Second)
		got := map[string]int64{}
		for _, a := range state(t, h).Accounts {
			for _, s := range a.Scopes {
				got[a.Account] = s.Use.LastMinute
			}
		}
		if len(got) != 2 || got["first"] != 300 || got["second"] != 100 {
			t.Errorf("%v", got)
		}
	})
}

// A limiter without limits and calls has nothing to show.
func TestEmpty(t *testing.T) {
	h := statuspage.New()
	newLimiter(t, h)
	if body := get(t, h, "/?format=json", http.StatusOK).Body.String(); !strings.HasSuffix(body, `"clear":false,"accounts":[]}`) {
		t.Error(body)
	}
}

// Calls and viewers don't get into each other's way.
func TestAtOnce(t *testing.T) {
	h := statuspage.New(statuspage.WithClear())
	l := newLimiter(t, h, ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1_000_000}))
	var running sync.WaitGroup
	for _, account := range []string{"a", "b", "c"} {
		running.Go(func() {
			ctx := ratelimiter.ContextWithAccount(t.Context(), account)
			for range 200 {
				if r, err := l.Acquire(ctx, ratelimiter.Cost{Model: "m"}); err == nil {
					r.Settle(ratelimiter.Usage{})
				}
			}
			serve(t, h, form(account, "m"), http.StatusNoContent)
		})
		running.Go(func() {
			for range 50 {
				state(t, h)
			}
		})
	}
	running.Wait()
}
