package ratelimiter_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// keyed makes a call of model "m" with an API key, and returns the account that paid.
func keyed(t *testing.T, l *ratelimiter.Limiter, ctx context.Context, key string, tokens int) (account string) {
	t.Helper()
	req := newRequest(t, ctx, chatURL, strings.NewReader(chatBody("m", tokens, false)))
	req.Header.Set("Authorization", "Bearer "+key)
	trace := &ratelimiter.Trace{Settled: func(_ context.Context, i ratelimiter.SettledInfo) { account = i.Account }}
	req = req.WithContext(ratelimiter.ContextWithTrace(ctx, trace))
	resp, err := l.Client(openaitest.New(openaitest.WithHeaders(false)).Direct()).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err, resp.StatusCode)
	}
	return account
}

func left(t *testing.T, l *ratelimiter.Limiter, account string) int64 {
	t.Helper()
	state, err := l.State(ratelimiter.ContextWithAccount(t.Context(), account))
	if err != nil || len(state.Scopes) != 1 {
		t.Fatalf("%+v, %v", state, err)
	}
	for _, limit := range state.Scopes[0].Limits {
		if limit.Name == "tpm" {
			return limit.Remaining
		}
	}
	t.Fatalf("%+v", state)
	return 0
}

var unnamedLimits = ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 200, TPM: 6000})

// Before any account is known, questions have answers, and calls need none.
func TestBeforeAnyAccount(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l := newLimiter(t, store, unnamedLimits)
		if got := l.Accounts(); len(got) != 0 {
			t.Errorf("accounts %v", got)
		}
		if d, err := l.Delay(t.Context(), tokens(6000)); d != 0 || err != nil {
			t.Errorf("Delay: %v, %v", d, err)
		}
		if s, err := l.State(t.Context()); err != nil || s.Account != "unnamed" {
			t.Errorf("State: %+v, %v", s, err)
		}
		for _, model := range []string{"m", ""} {
			if err := l.Clear(t.Context(), model); err != nil {
				t.Error(err)
			}
		}
		if got := l.Accounts(); len(got) != 0 {
			t.Errorf("questions have made accounts %v", got)
		}
		acquire(t, l, tokens(100)).Settle(ratelimiter.Usage{})
		if got := l.Accounts(); !slices.Equal(got, []string{"unnamed"}) {
			t.Errorf("accounts %v", got)
		}
		if got := left(t, l, "unnamed"); got != 5900 {
			t.Errorf("%d left", got)
		}
	})
	if got := newLimiter(t, ratelimiter.WithAccount("x")).Accounts(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("accounts %v", got)
	}
}

// The first account to become known takes over what calls without one have used, what they
// hold, and who waits, so that one key never has two budgets.
func TestFirstAccountTakesOver(t *testing.T) {
	for _, known := range []bool{false, true} {
		eachStore(t, func(t *testing.T, store ratelimiter.Option) {
			if known { // to the store, by another process
				keyed(t, newLimiter(t, store, unnamedLimits), t.Context(), "k", 1)
				time.Sleep(time.Hour)
			}
			l := newLimiter(t, store, unnamedLimits)
			held := acquire(t, l, tokens(3000))
			acquire(t, l, tokens(2000)).Settle(ratelimiter.Usage{})
			started := make(chan time.Duration, 1)
			begun := time.Now()
			go func() {
				r, err := l.Acquire(t.Context(), tokens(2000))
				if err != nil {
					t.Error(err)
				}
				started <- time.Since(begun)
				r.Settle(ratelimiter.Usage{})
			}()
			synctest.Wait()
			if waiting, _ := inLine(t, l, "m"); waiting != 1 {
				t.Fatalf("%d wait", waiting)
			}
			// It is one who comes after the 2,000, which are there 10 s after the start.
			account := keyed(t, l, t.Context(), "k", 1)
			if waited := <-started; waited < 10*time.Second || waited > 11*time.Second {
				t.Errorf("the call in line started after %v", waited)
			}
			synctest.Wait()
			if got := l.Accounts(); !slices.Equal(got, []string{account}) {
				t.Errorf("accounts %v; want %s", got, account)
			}
			if got := left(t, l, account); got > 200 {
				t.Errorf("%d tokens left", got)
			}
			held.Cancel()
			synctest.Wait()
			if got := left(t, l, account); got < 2990 || got > 3200 {
				t.Errorf("%d tokens left after the refund of 3,000", got)
			}
			acquire(t, l, tokens(1)).Cancel() // is that account's
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// As in docs/CONFIGURATION.md: Do on a limiter whose client sends the request. It is charged once.
func TestDoBeforeAnyAccount(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l := newLimiter(t, store, unnamedLimits)
		var account string
		err := l.Do(t.Context(), tokens(3000), func(ctx context.Context) (ratelimiter.Usage, error) {
			keyed(t, l, ctx, "k", 10)
			account = l.Accounts()[0]
			return ratelimiter.Usage{}, nil
		})
		synctest.Wait()
		if err != nil || !slices.Equal(l.Accounts(), []string{account}) || account == "unnamed" {
			t.Errorf("%v, accounts %v; want %s", err, l.Accounts(), account)
		}
		// What the response used is charged, and what was reserved beyond it is back: in a
		// store, where it came back to the account without a name, a little later.
		got := left(t, l, account)
		if got < 5900 {
			time.Sleep(2 * time.Second)
			synctest.Wait()
			got = left(t, l, account) - 200
		}
		if got < 5800 || got > 5999 {
			t.Errorf("%d tokens left", got)
		}
		keyed(t, l, t.Context(), "other", 1)
		if _, err := l.Acquire(t.Context(), tokens(1)); !errors.Is(err, ratelimiter.ErrNoAccount) {
			t.Errorf("%v; want ErrNoAccount among two", err)
		}
		if got := l.Accounts(); len(got) != 2 {
			t.Errorf("accounts %v", got)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Calls with and without a key that come at once share one budget.
func TestAccountsAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, store ratelimiter.Option) {
		l := newLimiter(t, store, unnamedLimits)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if i%2 == 0 {
					keyed(t, l, t.Context(), "k", 1)
				} else if r, err := l.Acquire(t.Context(), tokens(100)); err != nil {
					t.Error(err)
				} else {
					r.Settle(ratelimiter.Usage{})
				}
			})
		}
		wg.Wait()
		if got := l.Accounts(); len(got) != 1 || got[0] == "unnamed" {
			t.Errorf("accounts %v", got)
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
