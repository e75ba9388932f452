package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// callers is how many calls a process has open. The fleet's answers keep a
// quarter of them busy, the rest are in line.
const callers = 64

// A report is a line of JSON that a process writes: what became of its calls.
type report struct {
	Answered, Failed, Open int64
	Waiting                int    // of those open, not charged yet
	Err                    string // the first failure
}

// lost is how many calls have no answer, in the last report.
func (r *report) lost() int64 { return r.Failed + r.Open }

// process is one of the fleet. It keeps its callers busy until its standard
// input ends, then lets them finish.
func process(key, redisAddr, baseURL string) error {
	signal.Ignore(os.Interrupt) // which a terminal sends to all; the parent decides
	store := goredis.NewClient(&goredis.Options{Addr: redisAddr, ContextTimeoutEnabled: true})
	defer store.Close()
	limiter, err := ratelimiter.New(
		ratelimiter.WithAccount("fleet"), // each process has a key of its own
		ratelimiter.WithLimits(model, ratelimiter.Limits{RPM: limits.RPM, TPM: limits.TPM}),
		ratelimiter.WithWarnings(nil, 0), // the table shows who waits
		ratelimiter.WithBackend(redis.New(store)))
	if err != nil {
		return err
	}

	client := openai.NewClient(
		option.WithBaseURL(baseURL), option.WithAPIKey(key), openaigo.WithLimiter(limiter, nil))
	call := openai.ChatCompletionNewParams{
		Model:               model,
		Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Which stars can be seen from the south in winter?")},
		MaxCompletionTokens: openai.Int(maxTokens),
	}

	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	var tally struct {
		sync.Mutex
		report
	}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for !closed(over) {
				tally.Lock()
				tally.Open++
				tally.Unlock()
				_, err := client.Chat.Completions.New(context.Background(), call)
				tally.Lock()
				tally.Open--
				if err == nil {
					tally.Answered++
				} else {
					tally.Failed++
					tally.Err = cmp.Or(tally.Err, err.Error())
				}
				tally.Unlock()
			}
		})
	}

	out := json.NewEncoder(os.Stdout)
	tell := func() error {
		tally.Lock()
		r := tally.report
		tally.Unlock()
		if s, err := limiter.State(context.Background()); err == nil && len(s.Scopes) == 1 {
			r.Waiting = s.Scopes[0].Waiting
		}
		return out.Encode(r)
	}
	finished := make(chan struct{})
	go func() {
		wg.Wait()
		close(finished)
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := tell(); err != nil {
				return err
			}
		case <-finished:
			return errors.Join(tell(), limiter.Shutdown(context.Background()))
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
