package ratelimiter_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// While a handler's call waits in line a server does not come down; once the limiter is shut
// down it does.
func TestServerComesDownAfterItsLimiter(t *testing.T) {
	waits := make(chan struct{})
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithLimits("m", ratelimiter.Limits{RPD: 1}),
		ratelimiter.WithTrace(&ratelimiter.Trace{Waiting: func(context.Context, ratelimiter.WaitingInfo) { close(waits) }}))
	acquire(t, l, tokens(1)).Settle(ratelimiter.Usage{})
	ended := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, err := l.Acquire(req.Context(), tokens(1))
		ended <- err
	}))
	defer srv.Close()
	go func() {
		if resp, err := http.Get(srv.URL); err == nil {
			resp.Body.Close()
		}
	}()
	<-waits
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := srv.Config.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a call in line: %v", err)
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ratelimiter.ErrShutdown) {
		t.Error(err)
	}
	if err := srv.Config.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// slowStore takes a second for a settlement.
type slowStore struct{ *store }

func (s slowStore) Settle(ctx context.Context, settlement backend.Settlement) error {
	time.Sleep(time.Second)
	return s.store.Settle(ctx, settlement)
}

// A call in flight holds up no Shutdown; what it settles afterwards a second one waits for.
func TestSecondShutdownWaitsForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWarm(t, ratelimiter.WithBackend(slowStore{newStore()}))
		r := acquire(t, l, tokens(100))
		begun := time.Now()
		for _, want := range []time.Duration{0, time.Second} {
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); took != want {
				t.Errorf("it took %v, want %v", took, want)
			}
			r.Settle(ratelimiter.Usage{TotalTokens: 50})
		}
	})
}
