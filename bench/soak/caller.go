package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// names count what comes once: models, tenants and keys.
var names atomic.Int64

// namesASecond is how many of them may come. What is kept of each for ten minutes would
// otherwise hide what leaks.
const namesASecond = 10

// fresh returns a number that no name has had, unless enough names have come.
func (w *world) fresh() (n int64, ok bool) {
	n = names.Load()
	return n + 1, float64(n) < namesASecond*time.Since(w.begun).Seconds() && names.CompareAndSwap(n, n+1)
}

// A caller makes calls of all kinds, one after another.
type caller struct {
	*world
	*limiter
	random *rand.Rand
}

func (c *caller) run(ctx context.Context) {
	for ctx.Err() == nil {
		if c.random.IntN(8) == 0 {
			c.withoutHTTP(ctx)
		} else {
			c.request(ctx)
		}
	}
}

// context is that of a call: of some class and tenant, and of an account that may come once.
func (c *caller) context(ctx context.Context) context.Context {
	ctx = ratelimiter.ContextWithClass(ctx, []string{"", "chat", "batch", "unknown"}[c.random.IntN(4)])
	switch c.random.IntN(20) {
	case 0:
		if n, ok := c.fresh(); ok {
			ctx = ratelimiter.ContextWithTenant(ctx, fmt.Sprint("once", n))
		}
	case 1, 2, 3, 4:
		ctx = ratelimiter.ContextWithTenant(ctx, fmt.Sprint("tenant", c.random.IntN(5)))
	}
	return ctx
}

// model is one of those that stay, or one that comes once.
func (c *caller) model() string {
	switch c.random.IntN(100) {
	case 0:
		if n, ok := c.fresh(); ok {
			return fmt.Sprint("model", n)
		}
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
		return "short"
	case 11, 12, 13, 14, 15, 16, 17, 18, 19, 20:
		return "slots"
	}
	return "plenty"
}

// key is an API key that changes with time, or one that comes once.
func (c *caller) key() string {
	if c.random.IntN(100) == 0 {
		if n, ok := c.fresh(); ok {
			return fmt.Sprint("once-", n)
		}
	}
	return fmt.Sprint("sk-", time.Now().Unix()/30)
}

// withoutHTTP makes a call by Acquire or Do.
func (c *caller) withoutHTTP(ctx context.Context) {
	ctx = ratelimiter.ContextWithAccount(c.context(ctx), "without-http")
	call := ratelimiter.Cost{Model: c.model(), Tokens: 1 + c.random.Int64N(200)}
	if c.random.IntN(4) == 0 {
		_ = c.Do(ctx, call, func(context.Context) (ratelimiter.Usage, error) {
			return ratelimiter.Usage{TotalTokens: 1 + c.random.Int64N(300)}, nil
		})
		return
	}
	r, err := c.Acquire(ctx, call)
	if err != nil {
		return
	}
	defer r.Cancel()
	if c.random.IntN(3) > 0 {
		r.Settle(ratelimiter.Usage{TotalTokens: c.random.Int64N(300)})
	}
}

// request makes a call over HTTP and does with its response what callers do.
func (c *caller) request(ctx context.Context) {
	ctx, cancel := context.WithCancel(c.context(ctx))
	kept := false
	defer func() {
		if !kept {
			cancel()
		}
	}()
	fate := c.random.IntN(100)
	switch {
	case fate < 5: // cancelled at any time
		stop := time.AfterFunc(time.Duration(c.random.IntN(3000))*time.Microsecond, cancel)
		defer stop.Stop()
	case fate < 6: // cancelled before
		cancel()
	}
	body := fmt.Sprintf(`{"model":%q,"max_tokens":%d,"stream":%t,"messages":[{"role":"user","content":%q}]}`,
		c.model(), 1+c.random.IntN(40), c.random.IntN(2) == 0, strings.Repeat("word ", 1+c.random.IntN(100)))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err) // its parts are fixed
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.key())
	resp, err := c.client.Do(req)
	if err != nil {
		return
	}
	switch {
	case fate == 6: // nobody has the body any more, nor its context's cancel
		c.tally.lost.Add(1)
		kept = true
		return
	case fate < 12: // closed at once
	case fate < 16: // closed in the middle
		_, _ = io.CopyN(io.Discard, resp.Body, 100)
	case fate < 18: // read slowly
		p := make([]byte, 64)
		for range 20 {
			if _, err := resp.Body.Read(p); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	default:
		if _, err := io.Copy(io.Discard, resp.Body); err != nil && !errors.Is(err, context.Canceled) {
			c.tally.cut.Add(1)
		}
	}
	resp.Body.Close()
}

// plain makes a call of the last key in which nothing goes wrong.
func (c *caller) plain(ctx context.Context, model string) error {
	ctx = ratelimiter.ContextWithAccount(ctx, accountOf(c.limiter))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/chat/completions",
		strings.NewReader(`{"model":"`+model+`","max_tokens":10,"messages":[{"role":"user","content":"word"}]}`))
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// accountOf is one that the limiter's calls have paid from.
func accountOf(l *limiter) string { return l.Accounts()[0] }
