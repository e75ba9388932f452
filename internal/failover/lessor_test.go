package failover

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// A lendingStore lends three slots, or is away.
type lendingStore struct {
	backend.Backend
	err    error
	claims int
}

func (s *lendingStore) Lease(_ context.Context, c backend.Claim) (backend.Lease, error) {
	s.claims++
	if s.err != nil {
		return backend.Lease{}, s.err
	}
	return backend.Lease{Slots: min(3, c.Need), For: time.Minute, Used: 7}, nil
}

// While the primary does not answer, a process has the slots that the fallback says, or
// those that it was lent last, and as many as it needs where all calls pass.
func TestSlotsMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		slots, need, spare, want, others int64
	}{
		{-1, 50, 0, 50, 5}, {-1, 50, 4, 54, 5}, {5, 50, 0, 5, 5}, {5, 2, 0, 2, 5}, {5, 2, 1, 3, 5}, {5, 2, 9, 5, 5},
		{1, 50, 0, 1, 1}, {20, 50, 0, 10, 5}, {0, 50, 0, 3, 1}, {0, 1, 0, 1, 1}, {0, 1, 1, 2, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &lendingStore{Backend: memory.New()}
			var told []error
			b := New(Config{Primary: s, Slots: tt.slots, Notify: func(err error) { told = append(told, err) }}).(backend.Lessor)
			lease := func(c backend.Claim) backend.Lease {
				t.Helper()
				c.Account, c.Owner, c.Limit = "a", "o", 10
				l, err := b.Lease(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			if l := lease(backend.Claim{Holder: "h", Number: 1, Need: 4}); l.Slots != 3 || l.For != time.Minute {
				t.Errorf("%+v of the primary", l)
			}
			if l := lease(backend.Claim{}); l.Used != 7 {
				t.Errorf("%+v answers a question", l)
			}
			s.err = errors.New("away")
			for range 2 {
				if l := lease(backend.Claim{Holder: "h", Number: 2, Need: tt.need, Spare: tt.spare}); l.Slots != tt.want || l.For <= l.Again || l.Again <= 0 {
					t.Errorf("%+v: %+v", tt, l)
				}
			}
			if l := lease(backend.Claim{Holder: "another", Number: 1, Need: 5}); l.Slots != tt.others {
				t.Errorf("one that was lent nothing gets %d; want %d", l.Slots, tt.others)
			}
			if l := lease(backend.Claim{}); l.Used != -1 {
				t.Errorf("%+v answers a question", l)
			}
			if s.claims != 3 || len(told) != 1 {
				t.Errorf("the primary has got %d claims, and %v was told", s.claims, told)
			}
			s.err = nil
			time.Sleep(probing)
			if l := lease(backend.Claim{Holder: "h", Number: 3, Need: 4}); l.Slots != 3 || len(told) != 2 {
				t.Errorf("%+v when the primary is back, and %v was told", l, told)
			}
			if n := len(b.(*lessor).lent); n != 1 {
				t.Errorf("%d holders are remembered; want the one", n)
			}
			if l := lease(backend.Claim{Holder: "h", Number: 4}); l.Slots != 0 || len(b.(*lessor).lent) != 0 {
				t.Errorf("%+v, and %d holders are remembered that have nothing", l, len(b.(*lessor).lent))
			}
		})
	}
}

// A claim that its caller gives up says nothing of the primary.
func TestClaimsThatAreGivenUp(t *testing.T) {
	s := &lendingStore{Backend: memory.New(), err: context.Canceled}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := New(Config{Primary: s, Notify: func(err error) { t.Error(err) }}).(backend.Lessor)
	if _, err := b.Lease(ctx, backend.Claim{Holder: "h"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The backend can what its primary can.
func TestWhatThePrimaryCan(t *testing.T) {
	for _, tt := range []struct {
		primary      backend.Backend
		keeps, lends bool
	}{
		{struct{ backend.Backend }{memory.New()}, false, false},
		{&lendingStore{Backend: memory.New()}, false, true},
		{struct {
			backend.Backend
			keeps
		}{Backend: memory.New()}, true, false},
		{struct {
			backend.Backend
			keeps
			lends
		}{Backend: memory.New()}, true, true},
	} {
		b := New(Config{Primary: tt.primary})
		_, isKeeper := b.(backend.Keeper)
		_, isLessor := b.(backend.Lessor)
		if isKeeper != tt.keeps || isLessor != tt.lends {
			t.Errorf("%T: keeps %t, lends %t", tt.primary, isKeeper, isLessor)
		}
	}
}

type keeps struct{}

func (keeps) Keep(context.Context, string, string, []byte, time.Duration) error { return nil }
func (keeps) Recall(context.Context, string, []string) ([]backend.Note, error) {
	return nil, nil
}

type lends struct{}

func (lends) Lease(context.Context, backend.Claim) (backend.Lease, error) {
	return backend.Lease{}, nil
}
