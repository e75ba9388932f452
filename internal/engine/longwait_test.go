package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// warnings makes long waits be reported, and returns the reports.
func (b *bench) warnings(after time.Duration) <-chan LongWait {
	reports := make(chan LongWait, 16)
	b.config.Warn, b.config.LongWait = func(w LongWait) { reports <- w }, after
	return reports
}

// A report of a long wait is not lost if the call that is to make it leaves or starts first:
// the one who then has waited longest makes it.
func TestReportOfALongWaitIsPassedOn(t *testing.T) {
	for name, ends := range map[string]func(s *scope, w *waiter){
		"leaves": func(s *scope, w *waiter) { s.leave(w) },
		"starts": func(s *scope, w *waiter) {
			func() {
				s.account.mu.Lock()
				defer s.account.mu.Unlock()
				s.endLocked(w, nil)
			}()
			if <-w.signals != report || <-w.signals != result {
				t.Error("it is told something else")
			}
			if _, ok := s.longWait(w); ok {
				t.Error("it has started, and reports")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				reports := b.warnings(30 * time.Second)
				b.open()
				b.admit(call(tpm))
				defer b.hold(len(b.asked()) + 2)() // what the driver asks for: nobody is granted
				s := b.scope()
				w := &waiter{arrived: time.Now(), reservation: &Reservation{scope: s}, signals: make(chan signal, 2)}
				w.charge.cost = backend.Amounts{1, tpm}
				func() {
					b.account("a").mu.Lock()
					defer b.account("a").mu.Unlock()
					s.queue.join(w, call(1).Flow)
					s.watchLocked()
				}()
				next := b.start(call(tpm))
				time.Sleep(30*time.Second - 1)
				synctest.Wait()
				if len(w.signals) != 0 {
					t.Error("too early")
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if len(w.signals) != 1 || len(reports) != 0 {
					t.Fatal("the one who has waited longest is not asked for the report, or others are")
				}
				time.Sleep(5 * warnEvery)
				if synctest.Wait(); len(w.signals) != 1 {
					t.Fatal("it is asked again, before it has heard")
				}
				ends(s, w)
				synctest.Wait()
				if len(reports) != 1 || (<-reports).Waiting != 1 {
					t.Error("nobody reports")
				}
				next.cancel()
				<-next.err
			})
		})
	}
}

// The timer runs no longer than a minute after the last caller has gone, however long a wait
// is long, so that it keeps no scope in memory; and it runs again for who comes later.
func TestLookoutRests(t *testing.T) {
	run(t, false, func(b *bench) {
		reports := b.warnings(24 * time.Hour)
		b.open()
		watching := func() bool {
			synctest.Wait()
			b.account("a").mu.Lock()
			defer b.account("a").mu.Unlock()
			return b.account("a").scopes[scopeKey{model: "m"}].watching
		}
		for range 2 {
			b.admit(call(tpm)).Settle(&Outcome{})
			if watching() {
				t.Error("nobody has waited")
			}
			a := b.start(call(tpm))
			if !watching() {
				t.Error("nobody looks")
			}
			a.cancel()
			<-a.err
			if time.Sleep(warnEvery); watching() {
				t.Error("nobody waits")
			}
		}
		if len(reports) != 0 {
			t.Error("nobody has waited for a day")
		}
	})
}

// What a large call waits for, as it is told, is no more than half of what its bucket can hold
// beside it, where that is less than what is held back for the way.
func TestWaitOfALargeCall(t *testing.T) {
	for cost, beside := range map[int64]float64{tpm: 0, tpm - 10: 5, tpm - 20: 10, 1000: 100 * quota.Transit.Seconds()} {
		run(t, false, func(b *bench) {
			b.open()
			b.admit(call(tpm))
			c, waits := call(cost), time.Duration(0)
			c.Waiting = func(w Waiting) { waits = w.Wait }
			a := b.start(c)
			if want := time.Duration((float64(cost) + beside) / tpm * float64(time.Minute)); (waits - want).Abs() > time.Millisecond {
				b.Errorf("%d: told %v; want %v", cost, waits, want)
			}
			a.cancel()
			<-a.err
		})
	}
}
