package openaitest

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// admissions checks, in rational numbers, that in no window more was admitted
// than capacity + rate·t, for one limit.
func admissions(t *testing.T, records []Record, limit Limit, capacity int64) {
	t.Helper()
	slices.SortStableFunc(records, func(a, b Record) int { return a.Admitted.Compare(b.Admitted) })
	rate := big.NewRat(capacity, int64(limit.Period()))
	// The largest sum over all windows that end here, less what refilled in them.
	worst, last := new(big.Rat), time.Time{}
	for _, r := range records {
		n := r.Cost.of(limit.dimension())
		if !last.IsZero() {
			worst.Sub(worst, new(big.Rat).Mul(rate, rat(int64(r.Admitted.Sub(last)))))
			if worst.Sign() < 0 {
				worst.SetInt64(0)
			}
		}
		last = r.Admitted
		if worst.Add(worst, rat(n)); worst.Cmp(rat(capacity)) > 0 {
			t.Fatalf("%v: a window with %v of %d", limit, worst, capacity)
		}
	}
}

// Many callers hammer from all sides, on buckets of their own and shared ones;
// every window stays within capacity + rate·t, in every bucket at once, and the
// accounts agree with the records to the unit.
func TestNeverAboveTheLimit(t *testing.T) {
	own := Limits{RPM: 240, TPM: 40_000, RPD: 2000, TPD: 900_000}
	both := Limits{RPM: 300, TPM: 60_000}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		byModel := map[string][]Record{}
		srv := New(WithLimits("a", own), WithLimits("b", own), WithAccountLimits(both),
			WithTiming(func(c *Call) Timing { return Timing{Admission: time.Duration(c.Seq%97) * time.Millisecond} }),
			WithLog(func(r Record) {
				mu.Lock()
				defer mu.Unlock()
				byModel[r.Model] = append(byModel[r.Model], r)
			}))
		var callers sync.WaitGroup
		for i := range 40 {
			callers.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				for range 200 {
					post(t, srv.Direct(), chatPath, chatOf([]string{"a", "b"}[random.IntN(2)], 3+random.IntN(300)))
					time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
				}
			})
		}
		callers.Wait()

		var all []Record
		for model, records := range byModel {
			var admitted []Record
			var charged Cost
			for _, r := range records {
				if r.Outcome == Completed {
					admitted = append(admitted, r)
					charged.Requests += r.Cost.Requests
					charged.Tokens += r.Cost.Tokens
				}
			}
			all = append(all, admitted...)
			for limit := range Limit(limitCount) {
				if n := own.of(limit); n > 0 {
					admissions(t, admitted, limit, n)
				}
			}
			a := srv.Account(model)
			if a.Seen != int64(len(records)) || a.Admitted != int64(len(admitted)) || a.Completed != a.Admitted {
				t.Errorf("%s: %d records, %d admitted, account %+v", model, len(records), len(admitted), a)
			}
			if b := a.Bucket(TPM); b.Charged != charged.Tokens {
				t.Errorf("%s: %d tokens charged, records say %d", model, b.Charged, charged.Tokens)
			}
			if b := a.Bucket(RPM); b.Charged != charged.Requests {
				t.Errorf("%s: %d requests charged, records say %d", model, b.Charged, charged.Requests)
			}
		}
		if len(all) < 500 || len(all) > 7000 {
			t.Errorf("%d of 8000 admitted: the test does not press", len(all))
		}
		admissions(t, all, RPM, both.RPM)
		admissions(t, all, TPM, both.TPM)
	})
}

// The same from real goroutines, for the race detector: the bucket hardly
// refills, so that exactly its capacity is admitted.
func TestNeverAboveTheLimitInParallel(t *testing.T) {
	srv := New(WithLimits("m", Limits{RPD: 100, TPD: 1000}))
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 25 {
				post(t, srv.Direct(), chatPath, chatOf("m", 20))
				srv.Account("m")
			}
		})
	}
	callers.Wait()
	a := srv.Account("m")
	if a.Seen != 400 || a.Admitted != 50 || a.Bucket(TPD).Charged != 1000 || a.Bucket(RPD).Used > 100 {
		t.Errorf("%+v", a)
	}
}

// Months of virtual time at a limit of 150M tokens: every admission the server
// grants is one that whole numbers allow, and none is lost.
func TestMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(WithLimits("m", Limits{TPM: 150_000_000}))
		if !srv.Spend("m", Cost{Tokens: 150_000_000}) {
			t.Fatal("not full")
		}
		for range 2000 {
			time.Sleep(400 * time.Nanosecond) // refills exactly one token
			if !srv.Spend("m", Cost{Tokens: 1}) || srv.Spend("m", Cost{Tokens: 1}) {
				t.Fatal("not exactly one token")
			}
		}
		time.Sleep(100 * 24 * time.Hour)
		for range 100 {
			if !srv.Spend("m", Cost{Tokens: 150_000_000}) || srv.Spend("m", Cost{Tokens: 1}) {
				t.Fatal("not exactly full")
			}
			time.Sleep(time.Minute - time.Nanosecond)
			if srv.Spend("m", Cost{Tokens: 150_000_000}) {
				t.Fatal("full a nanosecond early")
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

// In subwindows, no second sees more than the subwindow holds: from any moment on where
// they are continuous, from its own beginning where they are fixed.
func TestNeverAboveASubwindow(t *testing.T) {
	for _, fixed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			epoch := time.Now()
			var mu sync.Mutex
			var admitted []Record
			srv := New(WithLimits("m", Limits{RPM: 630}), WithSubwindows(Subwindows{Fixed: fixed}), // 10.5 a second
				WithLog(func(r Record) {
					if r.Outcome == Completed {
						mu.Lock()
						defer mu.Unlock()
						admitted = append(admitted, r)
					}
				}))
			srv.Spend("m", Cost{}) // the windows begin here
			var callers sync.WaitGroup
			for i := range 5 {
				callers.Go(func() {
					random := rand.New(rand.NewPCG(2, uint64(i)))
					for time.Since(epoch) < time.Minute {
						post(t, srv.Direct(), chatPath, chatOf("m", 10))
						time.Sleep(time.Duration(random.IntN(int(200 * time.Millisecond))))
					}
				})
			}
			callers.Wait()
			perWindow := map[time.Duration]int{}
			for i, r := range admitted {
				perWindow[r.Admitted.Sub(epoch)/time.Second]++
				// Twelve are one and a half more than a subwindow holds: 142.8 ms of refill.
				if i >= 11 && !fixed && r.Admitted.Sub(admitted[i-11].Admitted) < 142*time.Millisecond {
					t.Errorf("12 requests in %v", r.Admitted.Sub(admitted[i-11].Admitted))
				}
			}
			for window, n := range perWindow {
				if fixed && n > 10 {
					t.Errorf("%d requests in second %d", n, window)
				}
			}
			if n := len(admitted); n < 500 || n > 640 {
				t.Errorf("%d admitted in a minute", n)
			}
		})
	}
}
