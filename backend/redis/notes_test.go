package redis_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A note in Redis that is damaged stops no process, whether it ran before or begins then. Nobody
// believes anything of it, and it is overwritten.
func TestDamagedNotes(t *testing.T) {
	server := redistest.Run(t)
	const rpm, tpm = 120, 10_000
	type object = map[string]any
	for name, damage := range map[string]func(note, limit object){
		"nothing is":                func(object, object) {},
		"no time":                   func(n, _ object) { delete(n, "at") },
		"no owner":                  func(_, l object) { delete(l, "owner") },
		"no name":                   func(_, l object) { delete(l, "name") },
		"no time of its report":     func(_, l object) { delete(l, "reported") },
		"no fields":                 func(_, l object) { clear(l) },
		"nothing but nulls":         func(_, l object) { nulls(l) },
		"an amount beside a slice":  func(_, l object) { l["subwindow"] = int64(time.Second) },
		"a slice of nothing":        func(_, l object) { l["subwindow"] = 1 },
		"a tiny ramp":               func(_, l object) { l["ramp"] = object{"from": 1e-300, "begun": time.Now()} },
		"a huge ramp":               func(_, l object) { l["ramp"] = object{"from": 1e300, "begun": time.Now()} },
		"a huge amount":             func(_, l object) { l["amount"] = int64(1) << 62 },
		"an amount beyond integers": func(_, l object) { l["amount"] = 1e300 },
		"a negative amount":         func(_, l object) { l["amount"] = -1 },
		"a huge margin":             func(_, l object) { l["tracker"] = object{"margin": 1e300, "at": time.Now()} },
		"a huge ratio":              func(_, l object) { l["tracker"] = object{"ratio": 1e300, "at": time.Now()} },
		"a huge transit":            func(_, l object) { l["transit"] = int64(1) << 60 },
		"another type":              func(_, l object) { l["tracker"] = "?" },
		"no note":                   nil,
		"half a note":               nil,
		"garbage":                   nil,
		"a megabyte of brackets":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a call that hangs
			defer cancel()
			srv := openaitest.New(openaitest.WithLimits("m", openaitest.Limits{RPM: rpm, TPM: tpm}))
			srv.Spend("m", openaitest.Cost{Tokens: tpm / 10}) // so that its headers show the period
			prefix := "test:" + rand.Text() + ":"
			client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
			t.Cleanup(func() { client.Close() })
			process := func() *ratelimiter.Limiter {
				l, err := ratelimiter.New(ratelimiter.WithAccount("a"), ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(prefix))))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = l.Shutdown(context.Background()) })
				return l
			}
			call := func(l *ratelimiter.Limiter) {
				t.Helper()
				for range 5 {
					if status := post(t, l, "m", srv.Direct()); status != http.StatusOK {
						t.Fatalf("status %d", status)
					}
				}
			}
			stop := func(l *ratelimiter.Limiter) {
				t.Helper()
				if err := l.Shutdown(ctx); err != nil {
					t.Fatal(err)
				}
			}
			teacher, running := process(), process()
			call(teacher)
			call(running)
			stop(teacher)
			keys := client.Keys(ctx, prefix+"*:note").Val()
			if len(keys) != 1 {
				t.Fatalf("notes %q", keys)
			}
			written := client.Get(ctx, keys[0]).Val()
			bad := map[string]string{"no note": "", "half a note": written[:len(written)/2], "garbage": "\x00\xff{\x80",
				"a megabyte of brackets": strings.Repeat("[", 1<<20)}[name]
			if damage != nil {
				bad = damaged(t, written, damage)
			}
			var fresh *ratelimiter.Limiter
			var err error
			for client.Get(ctx, keys[0]).Val() != bad || fresh == nil { // the running one may write at any time
				if err := client.Set(ctx, keys[0], bad, goredis.KeepTTL).Err(); err != nil {
					t.Fatal(err)
				}
				fresh = process()
				// Of tokens the note says that fewer are allowed, which nobody must believe.
				var r *ratelimiter.Reservation
				r, err = fresh.Acquire(ratelimiter.ContextWithMaxWait(ctx, time.Minute), ratelimiter.Cost{Model: "m", Tokens: 1000})
				r.Cancel()
			}
			if believed := errors.Is(err, ratelimiter.ErrTooLarge); believed != (name == "nothing is") || !believed && err != nil {
				t.Fatalf("of the limits that the note tells is believed: %v", err)
			}
			if name == "nothing is" {
				return
			}
			call(running)
			call(fresh)
			another := process()
			call(another)
			state, err := another.State(ctx)
			if err != nil {
				t.Fatal(err)
			}
			limits := map[string]int64{}
			for _, l := range state.Scopes[0].Limits {
				limits[l.Name] = l.Limit
			}
			if limits["rpm"] != rpm || limits["tpm"] != tpm || len(limits) != 2 {
				t.Errorf("learned %v", limits)
			}
			for _, l := range []*ratelimiter.Limiter{running, fresh, another} {
				stop(l)
			}
			is := client.Get(ctx, keys[0]).Val()
			var note struct {
				Limits []struct {
					Name   string
					Amount int64
				}
			}
			if err := json.Unmarshal([]byte(is), &note); err != nil || is == bad {
				t.Fatalf("it was not overwritten: %.200q, %v", is, err)
			}
			for _, l := range note.Limits {
				if want := map[string]int64{"rpm": rpm, "tpm": tpm}[l.Name]; l.Amount != want {
					t.Errorf("%s is kept as %d", l.Name, l.Amount)
				}
			}
		})
	}
}

// damaged is a note whose limit on tokens is another one, and whose limit on requests is damaged.
func damaged(t *testing.T, written string, damage func(note, limit map[string]any)) string {
	var note map[string]any
	if err := json.Unmarshal([]byte(written), &note); err != nil {
		t.Fatalf("%q: %v", written, err)
	}
	limits := map[string]map[string]any{}
	list, _ := note["limits"].([]any)
	for _, l := range list {
		l, _ := l.(map[string]any)
		name, _ := l["name"].(string)
		limits[name] = l
	}
	if limits["rpm"] == nil || limits["tpm"] == nil {
		t.Fatalf("%q: this test must follow its form", written)
	}
	limits["tpm"]["amount"] = 500
	damage(note, limits["rpm"])
	data, err := json.Marshal(note)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func nulls(object map[string]any) {
	for name := range object {
		object[name] = nil
	}
}
