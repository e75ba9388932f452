package redis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// A recorder keeps what is written to a server.
type recorder struct {
	mu       sync.Mutex
	sent     strings.Builder
	reported chan struct{} // gets one when the process says what it does
}

// A recordedConn is a connection of which a recorder keeps what is written.
type recordedConn struct {
	net.Conn
	to *recorder
}

func (c recordedConn) Write(p []byte) (int, error) {
	c.to.mu.Lock()
	c.to.sent.Write(p)
	c.to.mu.Unlock()
	if said.Match(p) {
		select {
		case c.to.reported <- struct{}{}:
		default:
		}
	}
	return c.Conn.Write(p)
}

func (r *recorder) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return recordedConn{conn, r}, nil
}

// said is a name in what a process says of itself: of a model, or of the owner of slots.
var said = regexp.MustCompile(`"[mo]":"(model:|class:)?xyzzy-(model|class)(-2)?"`)

// Nothing that is written to Redis has a key, a token, a prompt, an answer or a tenant's name
// in it, nor the name of an account in the clear, nor that of a model or a class but in what
// the process says of itself.
func TestNothingSecretIsWrittenToRedis(t *testing.T) {
	srv := redistest.Run(t)
	seen := recorder{reported: make(chan struct{}, 1)}
	client := goredis.NewClient(&goredis.Options{Addr: srv.Addr, Dialer: seen.dial})
	defer client.Close()
	l, err := ratelimiter.New(ratelimiter.WithBackend(redis.New(client)), ratelimiter.WithLimits("xyzzy-model", ratelimiter.Limits{RPM: 6000, TPM: 600_000, Concurrent: 10}),
		ratelimiter.WithLimits("xyzzy-model-2", ratelimiter.Limits{RPM: 1}),
		ratelimiter.WithShared("xyzzy-family", ratelimiter.Limits{RPM: 6000}, "xyzzy-model"),
		ratelimiter.WithClasses(map[string]ratelimiter.Class{"xyzzy-class": {Weight: 2, Limits: ratelimiter.Limits{Concurrent: 10}}}))
	if err != nil {
		t.Fatal(err)
	}
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		resp := throttled()
		if r.Header.Get("X-Throttled") == "" {
			body, err := json.Marshal(map[string]any{"id": "xyzzy-id", "answer": "xyzzy-answer", "usage": map[string]int{"total_tokens": 20}})
			if err != nil {
				return nil, err
			}
			resp = &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Ratelimit-Limit-Tokens": {"500000"}, "X-Ratelimit-Remaining-Tokens": {"499000"},
				"X-Ratelimit-Reset-Tokens": {"120ms"}}, Body: io.NopCloser(bytes.NewReader(body))}
		}
		return resp, nil
	})
	for i, throttle := range []string{"", "", "yes"} {
		ctx := ratelimiter.ContextWithClass(ratelimiter.ContextWithTenant(t.Context(), "xyzzy-tenant"), "xyzzy-class")
		if i == 1 {
			ctx = ratelimiter.ContextWithAccount(ctx, "xyzzy-account")
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://xyzzy-host.test/v1/chat/completions",
			strings.NewReader(`{"model":"xyzzy-model","previous_response_id":"xyzzy-id","messages":[{"role":"user","content":"xyzzy-prompt"}],"max_tokens":10}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer sk-xyzzy")
		req.Header.Set("X-Throttled", throttle)
		resp, err := l.Client(base).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	waitInLine(t, l, srv.Addr)
	<-seen.reported
	if err := l.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantExpiring(t, client)
	seen.mu.Lock()
	defer seen.mu.Unlock()
	sent := said.ReplaceAllString(seen.sent.String(), "")
	if len(sent) < 1000 || !strings.Contains(sent, "tpm") && !strings.Contains(sent, "tokens") {
		t.Errorf("the test sees too little: %d bytes", len(sent))
	}
	if at := strings.Index(sent, "xyzzy"); at >= 0 {
		t.Errorf("%q is written", sent[max(0, at-200):min(len(sent), at+30)])
	}
}

// waitInLine has calls of two tenants stand in a line until they give up.
func waitInLine(t *testing.T, l *ratelimiter.Limiter, addr string) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	defer client.Close()
	ctx, cancel := context.WithCancel(ratelimiter.ContextWithClass(ratelimiter.ContextWithAccount(t.Context(), "xyzzy-account"), "xyzzy-class"))
	call := func(tenant string) error {
		r, err := l.Acquire(ratelimiter.ContextWithTenant(ctx, tenant), ratelimiter.Cost{Model: "xyzzy-model-2", Tokens: 5})
		if err == nil {
			r.Settle(ratelimiter.Usage{TotalTokens: 5})
		}
		return err
	}
	if err := call("xyzzy-tenant"); err != nil {
		t.Error(err)
	}
	var waits sync.WaitGroup
	for _, tenant := range []string{"xyzzy-tenant", "xyzzy-tenant-2"} {
		waits.Go(func() {
			if err := call(tenant); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	redistest.Eventually(t, "two flows stand in line", func() bool {
		lines, err := client.Keys(t.Context(), "*:tickets").Result()
		if err != nil {
			t.Error(err)
		}
		flows := 0
		for _, line := range lines {
			records, err := client.HGetAll(t.Context(), line).Result()
			if err != nil {
				t.Error(err)
			}
			for _, record := range records {
				if len(record) == 16 {
					flows++
				}
			}
		}
		return flows == 2
	})
	cancel()
	waits.Wait()
}

// wantExpiring fails the test if a key has no expiry.
func wantExpiring(t *testing.T, client *goredis.Client) {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) < 2 {
		t.Fatalf("keys %q: %v", keys, err)
	}
	for _, key := range keys {
		if ttl, err := client.TTL(t.Context(), key).Result(); err != nil || ttl <= 0 {
			t.Errorf("%s expires after %v: %v", key, ttl, err)
		}
	}
}

// Every key expires by itself: of buckets that are charged and paused, of a line in which
// somebody waits and of one that nobody stands in any more, of slots and of notes, and after a
// Clear.
func TestKeysExpire(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: redistest.Run(t).Addr})
	defer client.Close()
	l, err := ratelimiter.New(ratelimiter.WithBackend(redis.New(client)), ratelimiter.WithAccount("a"),
		ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 6000, RPD: 1000, Concurrent: 1}))
	if err != nil {
		t.Fatal(err)
	}
	warm(t, l, "m")
	held := acquire(t, l, ratelimiter.Cost{Model: "m", Tokens: 6000})
	wantExpiring(t, client)
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() {
		_, err := l.Acquire(ratelimiter.ContextWithTenant(ctx, "t"), ratelimiter.Cost{Model: "m", Tokens: 6000})
		waits <- err
	}()
	for inLine := false; !inLine; {
		state, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		inLine = state.Scopes[0].Waiting > 0
	}
	wantExpiring(t, client)
	held.Settle(ratelimiter.Usage{TotalTokens: 10})
	cancel()
	<-waits
	post(t, l, "m", roundTripFunc(func(*http.Request) (*http.Response, error) { return throttled(), nil }))
	wantExpiring(t, client)
	if err := l.Clear(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	wantExpiring(t, client)
	if err := l.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantExpiring(t, client)
}
