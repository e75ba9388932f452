package otel

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// unanswered is a cost in tokens on which the store fails.
const unanswered = 7777

// A store is a memory that has to be asked, which takes its time.
type store struct {
	backend.Backend
	takes time.Duration
	err   error
}

func (s *store) Take(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	time.Sleep(s.takes)
	if len(ask.Costs) > 0 && ask.Costs[0][backend.Tokens] == unanswered {
		return backend.Answer{}, errors.New("broken")
	}
	if s.err != nil {
		return backend.Answer{}, s.err
	}
	return s.Backend.Take(ctx, ask)
}

func (s *store) Look(ctx context.Context, ask backend.Ask) (backend.Answer, error) {
	if err := cmp.Or(ctx.Err(), s.err); err != nil {
		return backend.Answer{}, err
	}
	return s.Backend.Look(ctx, ask)
}

// A backend is available as long as it answers, and its errors have a type, not a text.
func TestBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{Backend: memory.New(), takes: 2 * time.Millisecond}
		l, reader, _ := newLimiter(t, ratelimiter.WithBackend(s), ratelimiter.WithFailOpen())
		if _, ok := collect(t, reader)["backend.available{}"]; ok {
			t.Error("known before anybody has asked")
		}
		take := func() collected {
			r, err := l.Acquire(t.Context(), tokens(1))
			if err != nil {
				t.Fatal(err)
			}
			r.Settle(ratelimiter.Usage{})
			synctest.Wait()
			return collect(t, reader)
		}
		take().want(t, "backend.available", collected{
			"backend.available{}": 1, "backend.duration_count{command=take}": 1, "backend.duration_sum{command=take}": 0.002,
		})
		s.err = errors.New("no password in here")
		away := take()
		away.want(t, "backend.available limit", collected{
			"backend.available{}": 0, "backend.duration_count{command=take type=*errors.errorString}": 1,
			"limit{account=a model=m name=rpm owner=m}": 600, "limit{account=a model=m name=tpm owner=m}": 600,
		})
		if left, ok := away["remaining{account=a model=m name=tpm owner=m}"]; ok {
			t.Errorf("%v remain of what nobody knows", left)
		}
		time.Sleep(2 * time.Second)
		s.err = context.DeadlineExceeded
		take().want(t, "backend.available", collected{
			"backend.available{}": 0, "backend.duration_count{command=take type=timeout}": 1,
		})
		time.Sleep(2 * time.Second)
		s.err = nil
		take().want(t, "backend.available", collected{"backend.available{}": 1})

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = l.State(ctx) // its caller has gone, not the backend
		s.err = errors.New("away when it is collected")
		collect(t, reader).want(t, "backend.available", collected{
			"backend.available{}": 1, "backend.duration_count{command=look type=gave_up}": 1,
		})
	})
}

// A backend that is away is no error of a collection: a gauge shows it.
func TestCollectionWithoutBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{Backend: memory.New()}
		l, reader, _ := newLimiter(t, ratelimiter.WithBackend(s))
		r, err := l.Acquire(t.Context(), tokens(1))
		if err != nil {
			t.Fatal(err)
		}
		r.Cancel()
		synctest.Wait()
		s.err = errors.New("away")
		_ = collect(t, reader)
		collect(t, reader).want(t, "backend.available", collected{"backend.available{}": 0})
	})
}
