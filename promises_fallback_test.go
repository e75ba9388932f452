package ratelimiter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// While the fallback stands in nobody knows how the buckets stand, and State says so.
func TestStateWhileTheFallbackStandsIn(t *testing.T) {
	for name, option := range map[string]ratelimiter.Option{
		"fallback":  ratelimiter.WithFallback(ratelimiter.Limits{RPM: 2000, TPM: 100_000}),
		"fail open": ratelimiter.WithFailOpen(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newStore()
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(f), option,
					ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 600}))
				warm(t, l, "m")
				check := func(unknown bool, rpm, tpm int64) {
					t.Helper()
					limits := limitsOf(t, l, "m")
					for name, want := range map[string]int64{"rpm": rpm, "tpm": tpm} {
						got := limits[name]
						if got.Unknown != unknown || got.Remaining != want || got.Reset < 0 || got.Remaining > got.Limit {
							t.Errorf("%+v; want %d remaining", got, want)
						}
						if unknown && got.Reset != 0 {
							t.Errorf("%s is full in %v", name, got.Reset)
						}
					}
				}
				check(false, 60, 600)
				f.down.Store(true)
				for range 10 {
					acquire(t, l, tokens(10)).Settle(ratelimiter.Usage{})
				}
				check(true, 0, 0)
				if d, err := l.Delay(t.Context(), tokens(10)); d != 0 || err != nil {
					t.Errorf("%v, %v", d, err)
				}
				f.down.Store(false)
				time.Sleep(2 * time.Second)
				acquire(t, l, tokens(0)).Cancel()
				synctest.Wait()
				check(false, 60, 600)
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A note that is damaged teaches nothing, makes no call fail or hang, and is overwritten.
func TestCorruptNotesAreOverwritten(t *testing.T) {
	for name, damage := range map[string]func(n note, limit map[string]any){
		"no json":               nil,
		"no limits' fields":     func(n note, _ map[string]any) { n["limits"] = []any{map[string]any{}} },
		"an empty limit's name": func(_ note, l map[string]any) { l["name"] = "" },
		"no time":               func(n note, _ map[string]any) { delete(n, "at") },
		"never reported":        func(_ note, l map[string]any) { delete(l, "reported") },
		"amount beside a subwindow": func(_ note, l map[string]any) {
			l["subwindow"] = int64(time.Second)
		},
		"a subwindow of nothing": func(_ note, l map[string]any) { l["subwindow"] = 1 },
		"amount":                 func(_ note, l map[string]any) { l["amount"] = -1 },
		"no amount":              func(_ note, l map[string]any) { l["amount"] = 0 },
		"largest amount":         func(_ note, l map[string]any) { l["amount"] = int64(1) << 62 },
		"ramp": func(_ note, l map[string]any) {
			l["ramp"] = map[string]any{"from": 1e-300, "begun": time.Now()}
		},
		"ramp of nothing": func(_ note, l map[string]any) {
			l["ramp"] = map[string]any{"from": 0, "begun": time.Now()}
		},
		"endless ramp": func(_ note, l map[string]any) {
			l["ramp"] = map[string]any{"from": 1e300, "begun": time.Now().Add(1000 * time.Hour)}
		},
		"margin":  func(_ note, l map[string]any) { l["tracker"] = map[string]any{"margin": 1e300} },
		"tracker": func(_ note, l map[string]any) { l["tracker"] = "?" },
		"transit": func(_ note, l map[string]any) { l["transit"] = int64(1) << 60 },
		"everything": func(n note, l map[string]any) {
			for k := range l {
				l[k] = nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 600, TPM: 1_000_000}))
				notes := learnedNotes(t, srv, "m")
				key := keyOf(t, notes, "m")
				store := newKeeper()
				var written string
				if damage == nil {
					written = `{"v":`
					store.put(t, key, []byte(written), time.Minute)
				} else {
					bad := notes[key].clone(t)
					for _, limit := range []string{"rpm", "tpm"} {
						damage(bad, notes[key].clone(t).limit(t, limit))
						if name == "no limits' fields" || name == "no time" {
							break
						}
						for _, l := range bad["limits"].([]any) {
							if l, ok := l.(map[string]any); ok && l["name"] == limit {
								damage(bad, l)
							}
						}
					}
					data, err := json.Marshal(bad)
					if err != nil {
						t.Fatal(err)
					}
					written = string(data)
					store.put(t, key, data, time.Minute)
				}
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
				begun := time.Now()
				for i := range 20 {
					status, body := post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 100, false))
					if status != 200 {
						t.Fatalf("call %d: %d %s", i, status, body)
					}
				}
				if took := time.Since(begun); took > 30*time.Second {
					t.Errorf("20 calls took %v", took)
				}
				time.Sleep(2 * time.Minute)
				post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 100, false))
				time.Sleep(2 * time.Second)
				synctest.Wait()
				store.mu.Lock()
				now := string(store.notes[key].note)
				store.mu.Unlock()
				if now == written {
					t.Errorf("%s was not overwritten", written)
				}
				after := readNotes(t, store)[key]
				for limit, want := range map[string]float64{"rpm": 600, "tpm": 1_000_000} {
					if got := after.limit(t, limit)["amount"]; got != want {
						t.Errorf("%s is kept as %v", limit, got)
					}
				}
				if strings.Contains(now, "e-300") || strings.Contains(now, fmt.Sprint(int64(1)<<62)) {
					t.Errorf("what was wrong is kept: %s", now)
				}
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
