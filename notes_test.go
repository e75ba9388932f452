package ratelimiter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A note is one that a limiter has left in a keeper, taken apart: what a process tells
// the others of what it has learned. The tests change what is in it, whatever version it
// has, and do without the rest.
type note map[string]any

// readNotes returns the notes of a keeper, by account and scope.
func readNotes(t *testing.T, k *keeper) map[string]note {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	notes := map[string]note{}
	for key, kept := range k.notes {
		var n note
		if err := json.Unmarshal(kept.note, &n); err != nil {
			t.Fatalf("%s: %v", kept.note, err)
		}
		notes[key] = n
	}
	return notes
}

// put leaves a note that was written so long ago, as others would.
func (k *keeper) put(t *testing.T, key string, n any, age time.Duration) {
	t.Helper()
	data, ok := n.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(n); err != nil {
			t.Fatal(err)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notes[key] = keptNote{data, time.Now().Add(noteLife - age)}
}

// noteLife is for how long a note is kept.
const noteLife = 7 * 24 * time.Hour

// limit returns what a note says of a limit. It fails the test where the note is none
// that the tests know how to change.
func (n note) limit(t *testing.T, name string) map[string]any {
	t.Helper()
	limits, _ := n["limits"].([]any)
	for _, l := range limits {
		l, _ := l.(map[string]any)
		_, owner := l["owner"].(string)
		_, amount := l["amount"].(float64)
		if l["name"] == name && owner && amount {
			return l
		}
	}
	t.Fatalf("no %s with an owner and an amount in the note %v: these tests must follow its form", name, n)
	return nil
}

// clone copies a note.
func (n note) clone(t *testing.T) note {
	t.Helper()
	data, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	var out note
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// learnedNotes makes calls of the models through a limiter of its own, and returns the
// notes that it leaves.
func learnedNotes(t *testing.T, srv *openaitest.Server, models ...string) map[string]note {
	t.Helper()
	store := newKeeper()
	l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
	for _, m := range models {
		for range 3 {
			post(t, l.Client(srv.Direct()), chatURL, chatBody(m, 100, false))
			time.Sleep(2 * time.Second)
		}
	}
	synctest.Wait()
	notes := readNotes(t, store)
	if len(notes) != len(models) {
		t.Fatalf("%d notes of %d models", len(notes), len(models))
	}
	return notes
}

// keyOf finds the note of a model.
func keyOf(t *testing.T, notes map[string]note, model string) string {
	t.Helper()
	keys := slices.Sorted(maps.Keys(notes))
	for _, key := range keys {
		if len(key) > len(model) && key[len(key)-len(model):] == model {
			return key
		}
	}
	t.Fatalf("no note of %s among %q", model, keys)
	return ""
}

// A note is input: where something in it can't be true all of it is dropped. What is of no
// concern to the model, or says nothing, is passed over.
func TestHostileNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 600, TPM: 1_000_000}))
		notes := learnedNotes(t, srv, "m", "n")
		key, other := keyOf(t, notes, "m"), keyOf(t, notes, "n")
		good := notes[key]
		both := map[string]int64{"rpm": 600, "tpm": 1_000_000}
		rest := map[string]int64{"tpm": 1_000_000}
		change := func(field string, value any) func(note) any {
			return func(n note) any { n.limit(t, "rpm")[field] = value; return n }
		}
		data, err := json.Marshal(good)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name   string
			change func(note) any
			want   map[string]int64
		}{
			{"as it was", func(n note) any { return n }, both},
			{"another version", func(n note) any { n["v"] = n["v"].(float64) + 1; return n }, nil},
			{"no version", func(n note) any { delete(n, "v"); return n }, nil},
			{"an amount of 0", change("amount", 0), rest},
			{"no amount", func(n note) any { delete(n.limit(t, "rpm"), "amount"); return n }, rest},
			{"a negative amount", change("amount", -600), nil},
			{"an absurd amount", change("amount", int64(1)<<60), nil},
			{"another model's limit", change("owner", notes[other].limit(t, "rpm")["owner"]), rest},
			{"the model's bare name", change("owner", "m"), rest},
			{"no owner", change("owner", ""), nil},
			{"an unknown name", change("name", "xpm"), nil},
			{"no name", change("name", ""), nil},
			{"a name in other letters", change("name", "RPM"), nil},
			{"an amount that is text", change("amount", "600"), nil},
			{"no limits", func(n note) any { n["limits"] = nil; return n }, nil},
			{"limits that are none", func(n note) any { n["limits"] = []any{nil, map[string]any{}}; return n }, nil},
			{"nothing", func(note) any { return []byte{} }, nil},
			{"null", func(note) any { return []byte("null") }, nil},
			{"a list", func(note) any { return []byte("[1]") }, nil},
			{"half of it", func(note) any { return data[:len(data)/2] }, nil},
			{"binary", func(note) any { return []byte("\x00\xff\x80") }, nil},
		} {
			store := newKeeper()
			store.put(t, key, tt.change(good.clone(t)), time.Second)
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
			// The server says nothing, so that all that is known comes from the note.
			silent := openaitest.New(openaitest.WithHeaders(false))
			if status, _ := post(t, l.Client(silent.Direct()), chatURL, chatBody("m", 1, false)); status != http.StatusOK {
				t.Errorf("%s: status %d", tt.name, status)
			}
			got := map[string]int64{}
			for name, limit := range limitsOf(t, l, "m") {
				got[name] = limit.Limit
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("%s: learned %v; want %v", tt.name, got, tt.want)
			}
			synctest.Wait()

			// Where the limit is configured, a lower one is believed and nothing else.
			want := int64(1000)
			if tt.want["rpm"] > 0 {
				want = 600
			}
			l = newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 1000}))
			store.put(t, key, tt.change(good.clone(t)), time.Second)
			acquire(t, l, tokens(1)).Cancel()
			if got := limitsOf(t, l, "m")["rpm"].Limit; got != want {
				t.Errorf("%s: %d requests a minute; want %d", tt.name, got, want)
			}
		}
	})
}

// What stands in a note never raises a configured limit, and is no limit of what it is
// not about.
func TestNotesRaiseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 600, TPM: 60_000}))
		notes := learnedNotes(t, srv, "m")
		store := newKeeper()
		key := keyOf(t, notes, "m")
		store.put(t, key, notes[key], time.Second)
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store),
			ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 60, TPM: 1_000_000}), ratelimiter.WithAccountLimits(ratelimiter.Limits{RPM: 6000}))
		acquire(t, l, tokens(1)).Cancel()
		state, err := l.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range state.Scopes[0].Limits {
			want := map[string]int64{"account/rpm": 6000, "m/rpm": 60, "m/tpm": 60_000}[limit.Owner+"/"+limit.Name]
			if limit.Limit != want {
				t.Errorf("%+v; want %d", limit, want)
			}
		}
	})
}

// What the server has told this process since is newer than any note from before, and
// older than one of what others were told afterwards.
func TestOlderNoteDoesNotWin(t *testing.T) {
	for _, newer := range []bool{false, true} {
		t.Run(fmt.Sprintf("newer=%t", newer), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				notes := learnedNotes(t, openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 600, TPM: 60_000})), "m")
				key, written := keyOf(t, notes, "m"), time.Now()
				time.Sleep(time.Minute)
				srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 60, TPM: 60_000}))
				store := newKeeper()
				l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
				for range 3 {
					post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 100, false))
					synctest.Wait()
				}
				if got := limitsOf(t, l, "m")["rpm"].Limit; got != 60 {
					t.Fatalf("learned %d", got)
				}
				time.Sleep(time.Minute)
				age, want := time.Since(written), int64(60)
				if newer { // as a process writes it that was told the same just now
					n := notes[key].clone(t)
					move(n, age)
					for _, limit := range n["limits"].([]any) {
						move(limit.(map[string]any), age)
					}
					notes[key], age, want = n, 0, 600
				}
				store.put(t, key, notes[key], age)
				silent := l.Client(openaitest.New(openaitest.WithHeaders(false)).Direct())
				post(t, silent, chatURL, chatBody("m", 100, false)) // after which notes are looked up
				synctest.Wait()
				if got := limitsOf(t, l, "m")["rpm"].Limit; got != want {
					t.Errorf("%d requests a minute; want %d", got, want)
				}
			})
		})
	}
}

// A time to come is that of a clock that is wrong, and counts as now: what is told
// afterwards is newer.
func TestNoteFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := learnedNotes(t, openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 600, TPM: 60_000})), "m")
		key := keyOf(t, notes, "m")
		n := notes[key].clone(t)
		for _, limit := range n["limits"].([]any) {
			move(limit.(map[string]any), 24*time.Hour) // but not the time of writing
		}
		store := newKeeper()
		store.put(t, key, n, time.Second)
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
		silent := l.Client(openaitest.New(openaitest.WithHeaders(false)).Direct())
		post(t, silent, chatURL, chatBody("m", 1, false))
		if got := limitsOf(t, l, "m")["rpm"]; got.Limit != 600 || got.Age < 0 || got.Age > time.Minute {
			t.Fatalf("learned %+v", got)
		}
		// Another process, whose clock is right, is told something else.
		time.Sleep(time.Minute)
		later := learnedNotes(t, openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 60, TPM: 60_000})), "m")
		store.put(t, key, later[key], time.Second)
		time.Sleep(time.Minute)
		post(t, silent, chatURL, chatBody("m", 1, false))
		synctest.Wait()
		if got := limitsOf(t, l, "m")["rpm"].Limit; got != 60 {
			t.Errorf("%d requests a minute; want the 60 that were told later", got)
		}
	})
}

// Who leaves a note takes in what the others have left there first, which it would
// overwrite.
func TestKeepingANoteLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("", openaitest.Limits{RPM: 600, TPM: 60_000}))
		requests := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600}))
		notes := learnedNotes(t, srv, "m")
		key := keyOf(t, notes, "m")

		store := newKeeper()
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
		silent := l.Client(openaitest.New(openaitest.WithHeaders(false)).Direct())
		post(t, silent, chatURL, chatBody("m", 1, false)) // it has met the model, and knows nothing
		synctest.Wait()
		time.Sleep(2 * time.Minute)
		store.put(t, key, notes[key], 2*time.Minute)
		for range 3 { // these tell the requests alone, which is something to note
			post(t, l.Client(requests.Direct()), chatURL, chatBody("m", 1, false))
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		kept := readNotes(t, store)[key]
		kept.limit(t, "rpm")
		if got := kept.limit(t, "tpm")["amount"]; got != 60_000.0 {
			t.Errorf("tokens of %v are noted", got)
		}
		if got := limitsOf(t, l, "m")["tpm"].Limit; got != 60_000 {
			t.Errorf("%d tokens a minute are known", got)
		}
	})
}

// A limit that has changed is news, which the others find within seconds.
func TestWhatIsNewIsNotedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 60_000}))
		store := newKeeper()
		l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
		calls := func(n int) {
			for range n {
				post(t, l.Client(srv.Direct()), chatURL, chatBody("m", 1, false))
				time.Sleep(500 * time.Millisecond)
			}
			synctest.Wait()
		}
		calls(10)
		srv.SetLimits("m", openaitest.Limits{RPM: 300, TPM: 60_000})
		calls(20)
		notes := readNotes(t, store)
		if got := notes[keyOf(t, notes, "m")].limit(t, "rpm")["amount"]; got != 300.0 {
			t.Errorf("%v requests a minute are noted; want 300", got)
		}
	})
}

// An old note tells the limits, and not where the server's buckets stand: who comes
// with it alone begins as carefully as without.
func TestOldNoteDoesNotSpeakForTheBuckets(t *testing.T) {
	for _, age := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			notes := learnedNotes(t, openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 1_000_000})), "m")
			store := newKeeper()
			key := keyOf(t, notes, "m")
			store.put(t, key, notes[key], age)
			l := newLimiter(t, ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store))
			if got := limitsOf(t, l, "m"); len(got) != 0 {
				t.Fatalf("%+v is known before the first call", got)
			}
			atOnce := 0
			for range 100 {
				ctx := ratelimiter.ContextWithMaxWait(t.Context(), 0)
				if r, err := l.Acquire(ctx, tokens(1)); err == nil {
					atOnce++
					r.Settle(ratelimiter.Usage{})
				}
			}
			if got := limitsOf(t, l, "m")["rpm"].Limit; got != 600 {
				t.Errorf("%d requests a minute are known", got)
			}
			// A quarter of a second's worth of 600 a minute is 2.5.
			if fresh := age < time.Minute; fresh && atOnce != 100 || !fresh && atOnce > 5 {
				t.Errorf("with a note of %v ago %d calls start at once", age, atOnce)
			}
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

// What another process has noted counts from when it was noted, whatever that
// process's clock said.
func TestNotesOfAWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{-24 * time.Hour, 0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: 600, TPM: 60_000}))
			store := newKeeper()
			options := []ratelimiter.Option{ratelimiter.WithAccount("a"), ratelimiter.WithBackend(store)}
			first := newLimiter(t, options...)
			for range 3 {
				post(t, first.Client(srv.Direct()), chatURL, chatBody("m", 100, false))
				time.Sleep(2 * time.Second)
			}
			synctest.Wait()
			for key, kept := range store.notes {
				var note map[string]any
				if err := json.Unmarshal(kept.note, &note); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(kept.note), `"model:m"`) {
					t.Errorf("a name is stored: %s", kept.note)
				}
				move(note, ahead)
				for _, known := range note["limits"].([]any) {
					move(known.(map[string]any), ahead)
				}
				kept.note, _ = json.Marshal(note)
				store.notes[key] = kept
			}
			second := newLimiter(t, options...)
			c := second.Client(srv.Direct())
			post(t, c, chatURL, chatBody("m", 100, false))
			srv.SetLimits("m", openaitest.Limits{RPM: 60, TPM: 60_000})
			for range 20 {
				post(t, c, chatURL, chatBody("m", 100, false))
				time.Sleep(2 * time.Second)
			}
			srv.Spend("m", openaitest.Cost{Tokens: 50_000})
			post(t, c, chatURL, chatBody("m", 100, false))
			got := limitsOf(t, second, "m")
			if got["rpm"].Limit != 60 || got["tpm"].Remaining > 11_000 {
				t.Errorf("a clock that was ahead by %v: %+v", ahead, got)
			}
		})
	}
}

// move moves the times of a note.
func move(note map[string]any, by time.Duration) {
	for name, value := range note {
		if text, ok := value.(string); ok {
			if at, err := time.Parse(time.RFC3339Nano, text); err == nil && !at.IsZero() {
				note[name] = at.Add(by).Format(time.RFC3339Nano)
			}
		}
	}
}
