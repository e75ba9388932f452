package engine

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/predict"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// What stays charged of a call of 1000 tokens, of which 400 are input.
func TestFinalCharge(t *testing.T) {
	const informed, exact = true, true
	usage := func(input, output, total int64) Outcome {
		return Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Input: input, Output: output, Total: total}}
	}
	text := func(n int64, whole, reasons bool) Outcome {
		return Outcome{Metered: true, Text: n, Whole: whole, Reasons: reasons}
	}
	for _, x := range []struct {
		name            string
		outcome         Outcome
		informed, exact bool
		want            int64
	}{
		{"the zero value", Outcome{}, false, exact, 1000},
		{"cancelled", Outcome{Cancelled: true}, informed, exact, 0},
		{"cancelled, whatever else", Outcome{Cancelled: true, Failed: 500, HasUsage: true}, informed, exact, 0},
		{"a throttle", Outcome{Failed: 429}, false, exact, 0},
		{"a throttle with headers", Outcome{Failed: 429}, informed, exact, 0},
		{"a bad request", Outcome{Failed: 400}, false, exact, 0},
		{"a bad request with headers", Outcome{Failed: 400}, informed, exact, 1000},
		{"a choice of redirects", Outcome{Failed: 300}, informed, exact, 0},
		{"a redirect", Outcome{Failed: 307}, false, exact, 0},
		{"a redirect with headers", Outcome{Failed: 308}, informed, exact, 0},
		{"too large a body", Outcome{Failed: 413}, false, exact, 0},
		{"too large a body, with headers", Outcome{Failed: 413}, informed, exact, 1000},
		{"for legal reasons", Outcome{Failed: 451}, false, exact, 0},
		{"no flex capacity", Outcome{Failed: 498}, false, exact, 0},
		{"closed by nginx", Outcome{Failed: 444}, false, exact, 1000},
		{"closed by the client", Outcome{Failed: 499}, false, exact, 1000},
		{"an overload", Outcome{Failed: 529}, false, exact, 1000},
		{"a server's error", Outcome{Failed: 500}, false, exact, 1000},
		{"an error with usage", Outcome{Failed: 500, HasUsage: true, Usage: wire.Usage{Total: 5}}, false, exact, 1000},

		{"the caller's usage", Outcome{HasUsage: true, Usage: wire.Usage{Input: 100, Output: 50, Total: 150}}, false, exact, 150},
		{"the caller's usage, with headers", Outcome{HasUsage: true, Usage: wire.Usage{Input: 100, Output: 50, Total: 150}}, informed, exact, 150},
		{"absurd usage of the caller's", Outcome{HasUsage: true, Usage: wire.Usage{Total: 1 << 60}}, false, exact, quota.Largest},
		{"negative usage of the caller's", Outcome{HasUsage: true, Usage: wire.Usage{Total: -5}}, false, exact, 0},
		{"not metered, but text", Outcome{Text: 5, Whole: true}, false, exact, 1000},

		{"usage", usage(350, 50, 400), false, exact, 400},
		{"usage where the server charges its estimate of the input", usage(350, 50, 400), informed, exact, 450},
		{"of input that only it could see", usage(350, 50, 400), informed, false, 400},
		{"the total alone of the response", usage(350, 0, 400), informed, exact, 450},
		{"the total alone", usage(0, 0, 700), informed, exact, 700},
		{"a total below the input", usage(0, 0, 300), informed, exact, 400},
		{"the output alone", usage(0, 50, 50), informed, exact, 450},
		{"more than was charged", usage(400, 900, 1300), false, exact, 1300},
		{"absurd usage", usage(0, 0, 1<<60), false, exact, quota.Largest},

		{"no text", text(0, true, false), false, exact, 1000},
		{"the whole text", text(50, true, false), false, exact, 450},
		{"a single token of text", text(1, true, false), false, exact, 401},
		{"the whole text, with headers", text(50, true, false), informed, exact, 450},
		{"text that hides more", text(50, true, true), false, exact, 1000},
		{"text that hides more, but little", text(570, true, true), informed, exact, 970},
		{"text that hides more than a little", text(500, true, true), informed, exact, 1000},
		{"text that was broken off", text(50, false, false), false, exact, 1000},
		{"text that was broken off, but little", text(570, false, false), informed, exact, 1000},
		{"broken off above the charge", text(700, false, false), false, exact, 1100},
		{"the whole text, above the charge", text(700, true, false), false, exact, 1100},
		{"hidden, above the charge", text(700, true, true), false, exact, 1100},
	} {
		t.Run(x.name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				b.open()
				c := call(1000)
				c.Body.Input = 400
				if !x.exact {
					c.Body.Guessed = 1
				}
				r := b.admit(c)
				r.informed = x.informed
				s, ok := r.Settle(&x.outcome)
				if !ok || s.Final[backend.Tokens] != x.want || s.Charged != (backend.Amounts{1, 1000, 0}) {
					b.Errorf("%+v; want %d", s, x.want)
				}
				if requests := int64(1); !x.outcome.Cancelled && s.Final[backend.Requests] != requests {
					b.Errorf("%d requests", s.Final[backend.Requests])
				}
				if got, want := b.free(), max(-tpm, tpm-x.want); got != want {
					b.Errorf("%d are free; want %d", got, want)
				}
				if s, ok := r.Settle(&Outcome{}); ok || s != (Settled{}) {
					b.Errorf("it ends twice: %+v", s)
				}
				if n := len(b.settlements()); n > 1 || (n == 0) != (x.want == 1000) {
					b.Errorf("%d settlements", n)
				}
			})
		})
	}
	var none Reservation
	if _, ok := none.Settle(&Outcome{}); ok {
		t.Error("the zero value ends")
	}
}

// What the server says it has charged takes the estimate's place where no usage comes, unless
// its headers have corrected the buckets by it already. The call is of 1000 tokens, of which
// 400 are input.
func TestStatedCharge(t *testing.T) {
	text := func(n int64, whole bool) Outcome { return Outcome{Metered: true, Text: n, Whole: whole} }
	for _, x := range []struct {
		name     string
		stated   int64
		informed bool
		outcome  Outcome
		want     int64
	}{
		{"less, and no body", 650, false, Outcome{}, 650},
		{"more, and no body", 1300, false, Outcome{}, 1300},
		{"less, and no text", 650, false, text(0, true), 650},
		{"less, and text that was broken off", 650, false, text(50, false), 650},
		{"less than the text that was broken off", 650, false, text(300, false), 700},
		{"a server's error", 650, false, Outcome{Failed: 500}, 650},
		{"absurd", 1 << 60, false, Outcome{}, quota.Largest},
		{"whole text says more", 650, false, text(50, true), 450},
		{"usage says more", 650, false, Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Input: 350, Output: 50, Total: 400}}, 400},
		{"a caller's usage says more", 650, false, Outcome{HasUsage: true, Usage: wire.Usage{Total: 400}}, 400},
		{"a throttle charges nothing", 650, false, Outcome{Failed: 429}, 0},
		{"cancelled", 650, false, Outcome{Cancelled: true}, 0},
		{"nothing is stated", 0, false, text(0, true), 1000},
		{"beside the level", 650, true, text(0, true), 1000},
		{"beside the level, and no body", 650, true, Outcome{}, 1000},
		{"beside the level, a bad request", 650, true, Outcome{Failed: 400}, 1000},
	} {
		run(t, false, func(b *bench) {
			b.open()
			c := call(1000)
			c.Body.Input = 400
			r := b.admit(c)
			h := wire.Headers{QueryCost: x.stated}
			if x.informed {
				h.Tokens = wire.Window{Limit: tpm, Remaining: tpm - 650, HasLimit: true, HasRemaining: true, Stated: time.Minute}
			}
			r.Observe(&Response{Status: 200, Headers: h})
			if s, _ := r.Settle(&x.outcome); s.Final[backend.Tokens] != x.want {
				b.Errorf("%s: %+v; want %d", x.name, s, x.want)
			}
		})
	}
}

// Of output that the server keeps, nothing comes back.
func TestUnusedOutputThatIsKept(t *testing.T) {
	for _, x := range []struct {
		name  string
		body  predict.Body
		o     Outcome
		kept  bool
		want  int64
		voted bool  // it says how much was not used
		said  int64 // what the server says it has charged
	}{
		{"given back", predict.Body{}, Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Total: 450}}, false, 450, true, 0},
		{"kept", predict.Body{}, Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Total: 450}}, true, 1000, true, 0},
		{"kept, by the text", predict.Body{}, Outcome{Metered: true, Text: 50, Whole: true}, true, 1000, true, 0},
		{"kept of what was charged", predict.Body{}, Outcome{Metered: true, Text: 50, Whole: true}, true, 800, true, 800},
		{"nothing declared", predict.Body{Undeclared: true}, Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Total: 450}}, true, 450, false, 0},
		{"more than was charged", predict.Body{}, Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Total: 1500}}, true, 1500, false, 0},
	} {
		run(t, false, func(b *bench) {
			b.open()
			c := call(1000)
			c.Body.Input, c.Body.Undeclared = 400, x.body.Undeclared
			s := b.scope()
			if x.kept {
				other := quota.NewSet(quota.ModelOwner("m"), s.quota.Limits())
				note := `{"v":3,"at":%q,"limits":[{"owner":%q,"name":"tpm","reported":"0001-01-01T00:00:00Z","tracker":{"margin":0,"at":%[1]q,"reports":0,"kept":true,"found":%[1]q}}]}`
				at := time.Now().Format(time.RFC3339Nano)
				if _, err := s.quota.TakeNote(time.Now(), fmt.Appendf(nil, note, at, digestOf(b, &other)), 0); err != nil {
					b.Fatal(err)
				}
			}
			r := b.admit(c)
			r.Observe(&Response{Status: 200, Headers: wire.Headers{QueryCost: x.said}})
			if got, _ := r.Settle(&x.o); got.Final[backend.Tokens] != x.want {
				b.Errorf("%s: %+v; want %d", x.name, got, x.want)
			}
		})
	}
}

func TestChargesTokens(t *testing.T) {
	for status, want := range map[int][2]bool{ // without headers, with them
		429: {false, false}, 301: {false, false}, 302: {false, false}, 307: {false, false}, 308: {false, false},
		400: {false, true}, 401: {false, true}, 402: {false, true}, 403: {false, true}, 404: {false, true},
		405: {false, true}, 406: {false, true}, 407: {false, true}, 408: {false, true}, 409: {false, true},
		410: {false, true}, 413: {false, true}, 415: {false, true}, 421: {false, true}, 422: {false, true},
		423: {false, true}, 424: {false, true}, 431: {false, true}, 451: {false, true}, 498: {false, true},
		444: {true, true}, 499: {true, true}, 500: {true, true}, 503: {true, true}, 529: {true, true},
	} {
		for i, informed := range []bool{false, true} {
			if got := chargesTokens(status, informed); got != want[i] {
				t.Errorf("%d %s, informed %v: %v", status, http.StatusText(status), informed, got)
			}
		}
	}
}

// What a call's end teaches of output that nobody declares.
func TestOutputsLearn(t *testing.T) {
	for _, x := range []struct {
		name       string
		undeclared bool
		choices    int64
		o          Outcome
		want       int64 // reserved for the next call's output
	}{
		{"usage", true, 1, Outcome{HasUsage: true, Usage: wire.Usage{Output: 40, Total: 440}}, 40},
		{"of several choices", true, 4, Outcome{HasUsage: true, Usage: wire.Usage{Output: 40, Total: 440}}, 10},
		{"usage that does not tell output apart", true, 2, Outcome{HasUsage: true, Usage: wire.Usage{Total: 440}}, 20},
		{"a total below what was counted", true, 1, Outcome{HasUsage: true, Usage: wire.Usage{Total: 300}}, 256},
		{"the whole text", true, 1, Outcome{Metered: true, Whole: true, Text: 30}, 30},
		{"text that hides more", true, 1, Outcome{Metered: true, Whole: true, Reasons: true, Text: 30}, 256},
		{"text that was broken off", true, 1, Outcome{Metered: true, Text: 30}, 256},
		{"declared", false, 1, Outcome{HasUsage: true, Usage: wire.Usage{Output: 40, Total: 440}}, 256},
		{"cancelled", true, 1, Outcome{Cancelled: true}, 256},
	} {
		run(t, false, func(b *bench) {
			b.open()
			c := call(400)
			c.Body.Undeclared, c.Body.Choices = x.undeclared, x.choices
			settled, _ := b.admit(c).Settle(&x.o)
			if x.o.Text > 0 && settled.Usage.Output != x.o.Text {
				b.Errorf("%s: %+v", x.name, settled.Usage)
			}
			c.Body.Undeclared, c.Body.Choices = true, 1
			r := b.admit(c)
			if got := r.Cost()[backend.Tokens] - 400; got != x.want {
				b.Errorf("%s: %d are reserved; want %d", x.name, got, x.want)
			}
			if e := r.Estimate(); e.Input != 400 || e.Output != x.want {
				b.Errorf("%s: %+v", x.name, e)
			}
		})
	}
}

// A call that continues a response is charged the context that stands on the server.
func TestContextsLearn(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		c := call(100)
		c.Body.Continuable = true
		b.admit(c).Settle(&Outcome{Metered: true, HasUsage: true, ID: "resp_1", Usage: wire.Usage{Input: 100, Output: 200, Total: 300}})
		c = call(50)
		c.Body.Previous = "resp_1"
		r := b.admit(c)
		if got := r.Cost()[backend.Tokens]; got != 350 {
			b.Errorf("%d are charged", got)
		}
		// Of what was a guess too, nothing tells what the server keeps.
		if s, _ := r.Settle(&Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Input: 60, Output: 10, Total: 70}}); s.Final[backend.Tokens] != 70 {
			b.Errorf("%+v", s)
		}
		b.admit(call(100)).Settle(&Outcome{Cancelled: true, ID: "resp_2"})
		c.Body.Previous = "resp_2"
		if got := b.admit(c).Cost()[backend.Tokens]; got != 50 {
			b.Errorf("%d are charged of an unknown response", got)
		}
	})
}

// How long calls are in flight, and what they reserve, is counted until they end.
func TestInFlight(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		r := b.admit(call(100))
		if r.Call.Account != "a" || r.Call.Model != "m" || r.ended.Load() {
			b.Error("whose is it?")
		}
		time.Sleep(time.Second)
		r.Sent(time.Now())
		if s := b.state(); s.InFlight != 1 {
			b.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Second)
		if s, _ := r.Settle(&Outcome{}); s.Duration != 2*time.Second {
			b.Errorf("it took %v", s.Duration)
		}
		if s := b.state(); s.InFlight != 0 || !r.ended.Load() || b.account("a").reserved != 0 {
			b.Errorf("%+v", s)
		}
	})
}

func head(status int, headers string) *Response {
	h := http.Header{}
	var key, value string
	for n, _ := fmt.Sscanf(headers, "%s %s", &key, &value); n == 2; n, _ = fmt.Sscanf(headers, "%s %s", &key, &value) {
		h.Set("X-Ratelimit-"+key, value)
		headers = headers[min(len(headers), len(key)+len(value)+2):]
	}
	return &Response{Status: status, Headers: wire.ParseHeaders(h)}
}

// A response's head corrects buckets at once, and what it lowers counts as refunded.
func TestObserve(t *testing.T) {
	const full = "Limit-Tokens 6000 Remaining-Tokens 6000 Reset-Tokens 0s"
	for _, x := range []struct {
		name, headers string
		status        int
		want          int64 // used of the bucket
		settled       int
	}{
		{"none", "", 200, 1000, 0},
		{"the same", "Limit-Tokens 6000 Remaining-Tokens 5000 Reset-Tokens 10s", 200, 1000, 0},
		{"others have used something", "Limit-Tokens 6000 Remaining-Tokens 3000 Reset-Tokens 30s", 200, 3000, 1},
		{"the server has used less", full, 200, 0, 1},
		{"a throttle lacks the call's own", full, 429, 1000, 0},
	} {
		run(t, false, func(b *bench) {
			b.open()
			r := b.admit(call(1000))
			if latency, _ := r.Observe(head(x.status, x.headers)); latency != 0 {
				b.Errorf("%s: a latency of %v", x.name, latency)
			}
			if got := tpm - b.free(); got != x.want || len(b.settlements()) != x.settled {
				b.Errorf("%s: %d used after %d settlements; want %d", x.name, got, len(b.settlements()), x.want)
			}
			if got := b.account("a").refunded[backend.Tokens]; got != float64(max(0, 1000-x.want)) {
				b.Errorf("%s: %v refunded", x.name, got)
			}
			if r.informed != (x.headers != "") {
				b.Errorf("%s: informed is %v", x.name, r.informed)
			}
		})
	}
}

// The shortest time to a response's head counts, and how long a request took to be written.
func TestLatency(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		for _, d := range []time.Duration{300, 200, 400} {
			r := b.admit(call(1))
			began := time.Now()
			time.Sleep(d * time.Millisecond)
			resp := head(200, "")
			resp.Written = began.Add(d / 2 * time.Millisecond)
			if got, _ := r.Observe(resp); got != d*time.Millisecond {
				b.Errorf("%v", got)
			}
		}
		if got := b.scope().latency; got != 200*time.Millisecond {
			b.Errorf("a latency of %v", got)
		}
		// 100 ms and twice the 200 ms that writing took at most.
		for _, l := range b.state().Limits {
			if want := int64(float64(l.Limit) * 0.5 / 60); l.Margin != want {
				b.Errorf("%s: a margin of %d; want %d", l.Name, l.Margin, want)
			}
		}
	})
}

// A throttle pauses whom it is about, for as long as it says, up to the longest pause.
func TestThrottlePauses(t *testing.T) {
	for _, x := range []struct {
		after, want time.Duration
	}{
		{0, time.Second}, {-1, time.Second}, {time.Millisecond, time.Millisecond},
		{5 * time.Second, 5 * time.Second}, {time.Minute, time.Minute}, {time.Hour, time.Minute},
	} {
		run(t, false, func(b *bench) {
			b.open()
			r := b.admit(call(1))
			begun := time.Now()
			if got := r.Throttled(&wire.Throttle{Kind: wire.RateLimit, Limit: -1, Used: -1, Requested: -1, RetryAfter: x.after}); got != x.want {
				b.Errorf("a pause of %v after %v", got, x.after)
			}
			synctest.Wait()
			if s := b.settlements()[0]; s.PauseOwner != "model:m" || s.Pause != x.want {
				b.Errorf("%+v", s)
			}
			b.admit(call(1))
			if waited := time.Since(begun); waited < x.want || waited > x.want+time.Second {
				b.Errorf("the next call waits %v; want %v", waited, x.want)
			}
		})
	}
}

// A throttle with figures corrects the bucket too.
func TestThrottleCorrects(t *testing.T) {
	run(t, false, func(b *bench) {
		b.open()
		r := b.admit(call(1000))
		r.Throttled(&wire.Throttle{Kind: wire.RateLimit, Dimension: wire.Tokens, Period: time.Minute, Limit: tpm, Used: 5900, Requested: 1000})
		if got := tpm - b.free(); got != 6900 { // the call itself is refunded when it ends
			b.Errorf("%d are used", got)
		}
	})
	run(t, false, func(b *bench) {
		b.open()
		r := b.admit(call(1))
		r.TooLarge(&wire.Throttle{Kind: wire.TooLarge, Dimension: wire.Tokens, Period: time.Minute, Limit: 500, Used: -1, Requested: 5000})
		r.TooLarge(&wire.Throttle{Kind: wire.TooLarge, Dimension: wire.Tokens, Period: time.Minute, Limit: 500, Used: -1, Requested: 5000})
		var rejection *Rejection
		if err := b.Admit(b.Context(), &Reservation{Call: *call(501)}); !errors.As(err, &rejection) || rejection.Reason != TooLarge || rejection.Amount != 500 {
			b.Errorf("%v", err)
		}
	})
}

// A pause that does not arrive is told again, for what is left of it, until it does or it
// is over; nothing else is.
func TestPausesAreSentAgain(t *testing.T) {
	for _, x := range []struct {
		name  string
		fails int
		pause time.Duration
		want  int // settlements
	}{
		{"it arrives", 0, 10 * time.Second, 1},
		{"the third time", 2, 10 * time.Second, 3},
		{"never", 1000, 2 * time.Second, 6}, // after 0.1, 0.3, 0.7, 1.2 and 1.7 seconds
		{"never, of a long pause", 1000, time.Hour, 1 + 120},
	} {
		run(t, false, func(b *bench) {
			b.open()
			b.config.MaxPause = time.Hour
			b.settles(func(n int, _ *backend.Settlement) error {
				if n <= x.fails {
					return errAway
				}
				return nil
			})
			var late time.Duration
			b.admit(call(1)).Throttled(&wire.Throttle{Kind: wire.RateLimit, Limit: -1, Used: -1, Requested: -1, RetryAfter: x.pause})
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if n := len(b.settlements()); n != x.want {
				b.Errorf("%s: %d settlements; want %d", x.name, n, x.want)
			}
			for i, s := range b.settlements()[1:] {
				late += min(lastRetry, firstRetry<<min(i, 8))
				if s.PauseOwner != "model:m" || s.Pause != x.pause-late || s.Buckets != nil || s.Corrections != nil || s.Refund != (backend.Amounts{}) {
					b.Errorf("%s: %+v; want a pause of %v", x.name, s, x.pause-late)
				}
			}
		})
	}
	run(t, false, func(b *bench) {
		b.open()
		b.settles(func(int, *backend.Settlement) error { return errAway })
		b.admit(call(10)).Settle(&Outcome{Cancelled: true})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(b.settlements()); n != 1 {
			b.Errorf("a refund is sent %d times", n)
		}
		// A shutdown tries once more at once, and gives up.
		b.admit(call(10)).Throttled(&wire.Throttle{Kind: wire.RateLimit, Limit: -1, Used: -1, Requested: -1, RetryAfter: time.Minute})
		synctest.Wait()
		begun, n := time.Now(), len(b.settlements())
		if err := b.Shutdown(b.Context()); err != nil || time.Since(begun) > lastRetry || len(b.settlements()) != n+1 {
			b.Errorf("%v after %v and %d settlements", err, time.Since(begun), len(b.settlements())-n)
		}
	})
}

// After pauses that were in vain few calls are tried beside those in flight.
func TestFewCallsAfterPausesInVain(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		kept := b.admit(call(1))
		for range 3 {
			r := b.admit(call(1))
			r.Throttled(&wire.Throttle{Kind: wire.RateLimit, Limit: -1, Used: -1, Requested: -1})
			r.Settle(&Outcome{Failed: http.StatusTooManyRequests})
			r.Release()
			time.Sleep(time.Minute)
		}
		b.admit(call(1)).Observe(&Response{Status: http.StatusOK})
		s := kept.scope
		s.account.mu.Lock()
		defer s.account.mu.Unlock()
		if got := s.slotsLocked(time.Now()); got != 31-2 {
			b.Errorf("%d calls more may go beside 2", got)
		}
	})
}

// What has passed a subwindow has passed it: only the charge of a call that was never made
// goes back there.
func TestRefundsOfSubwindows(t *testing.T) {
	for _, x := range []struct {
		outcome Outcome
		buckets int
	}{
		{Outcome{Cancelled: true}, 3},
		{Outcome{Failed: http.StatusTooManyRequests}, 3}, // the server has charged no tokens
		{Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Input: 10, Output: 10, Total: 20}}, 2},
	} {
		run(t, false, func(b *bench) {
			b.open()
			b.admit(call(1)).Throttled(subwindow(time.Second))
			time.Sleep(10 * time.Second)
			r := b.admit(call(60))
			synctest.Wait()
			n := len(b.settlements())
			r.Settle(&x.outcome)
			if synctest.Wait(); len(b.settlements()) != n+1 {
				b.Fatalf("%+v: %d settlements", x.outcome, len(b.settlements())-n)
			}
			var names []string
			for _, k := range b.settlements()[n].Buckets {
				if !strings.HasPrefix(k.Name, "pace/") && k.Name != "probe" {
					names = append(names, k.Name)
				}
			}
			if len(names) != x.buckets {
				b.Errorf("%+v: %v", x.outcome, names)
			}
		})
	}
}

// What no limit counts is not settled.
func TestNothingToSettle(t *testing.T) {
	run(t, false, func(b *bench) {
		b.rules.Load().Models["r"] = quota.Rule{Amounts: [5]int64{0: rpm}}
		for model, want := range map[string]int{"m": 1, "r": 0} {
			c := call(100)
			c.Model = model
			before := len(b.settlements())
			b.admit(c).Settle(&Outcome{HasUsage: true, Usage: wire.Usage{Total: 30}})
			synctest.Wait()
			if n := len(b.settlements()) - before; n != want {
				b.Errorf("%s: %d settlements of tokens; want %d", model, n, want)
			}
		}
	})
}

// What chats with functions take beside our count is learned from usage, for them alone.
func TestInputsLearn(t *testing.T) {
	run(t, true, func(b *bench) {
		b.open()
		chat := func(functions bool) *Call {
			c := call(120)
			c.Body.Input, c.Body.Functions = 100, functions
			return c
		}
		play := func(c *Call, input int64) {
			b.admit(c).Settle(&Outcome{HasUsage: true, Usage: wire.Usage{Input: input, Output: 20, Total: input + 20}})
			time.Sleep(10 * time.Second)
		}
		guessed := chat(true)
		guessed.Body.Guessed = 10
		for range 10 {
			play(chat(false), 500)
			play(guessed, 500)
		}
		for range 10 {
			if got := b.scope().inputs.Count(100); got > 183 {
				b.Errorf("%d is learned of other calls", got)
			}
			play(chat(true), 183)
		}
		for functions, want := range map[bool]int64{true: 203, false: 120} {
			if got := b.admit(chat(functions)).Cost()[backend.Tokens]; got != want {
				b.Errorf("functions %v: %d are charged; want %d", functions, got, want)
			}
		}
	})
}

// What calls get back that were never answered says nothing of unused output, though a server
// seems to keep it that was never sent them.
func TestReturnedIsNotUnused(t *testing.T) {
	const rounds, each = 10, 10 * time.Millisecond
	for name, x := range map[string]struct {
		o    Outcome
		kept bool
	}{
		"unused output": {Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Input: 10, Output: 10, Total: 20}}, true},
		"cancelled":     {Outcome{Cancelled: true}, false},
		"throttled":     {Outcome{Failed: http.StatusTooManyRequests}, false},
		"by the caller": {Outcome{HasUsage: true, Usage: wire.Usage{Input: 10, Output: 10, Total: 20}}, false},
	} {
		run(t, false, func(b *bench) {
			b.open()
			used := int64(1000)
			report := func(r *Reservation) {
				r.Observe(head(200, fmt.Sprintf("Limit-Tokens 6000 Remaining-Tokens %d Reset-Tokens %ds", 6000-used, used/100)))
			}
			first := b.admit(call(1000))
			report(first)
			for range rounds {
				time.Sleep(each)
				c := call(110)
				c.Body.Input = 10
				r, answered := b.admit(c), b.admit(c)
				used += 2 * 110
				report(answered)
				r.Settle(&x.o)
				answered.Settle(&Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Input: 10, Output: 90, Total: 100}})
			}
			limits := b.scope().quota.Limits()
			for _, l := range limits {
				if l.Dimension == backend.Tokens && l.KeepsUnused() != x.kept {
					b.Errorf("%s: kept: %v", name, l.KeepsUnused())
				}
			}
			first.Settle(&Outcome{})
		})
	}
}

// Text is all of the output where the whole response was seen, and nothing is hidden.
func TestShown(t *testing.T) {
	all := Outcome{Metered: true, Whole: true, Text: 1}
	for name, x := range map[string]struct {
		change func(o *Outcome)
		want   bool
	}{
		"a token": {func(*Outcome) {}, true}, "usage": {func(o *Outcome) { o.HasUsage = true }, false},
		"not metered": {func(o *Outcome) { o.Metered = false }, false}, "broken off": {func(o *Outcome) { o.Whole = false }, false},
		"no text": {func(o *Outcome) { o.Text = 0 }, false}, "reasons": {func(o *Outcome) { o.Reasons = true }, false},
	} {
		o := all
		if x.change(&o); o.shown() != x.want {
			t.Errorf("%s: %v", name, o.shown())
		}
	}
}

// What comes back is unused output where it is sure which part of the charge that was.
func TestUnusedOutput(t *testing.T) {
	usage := Outcome{Metered: true, HasUsage: true, Usage: wire.Usage{Input: 400, Output: 50, Total: 450}}
	whole, broken := Outcome{Metered: true, Whole: true, Text: 50}, Outcome{Metered: true, Text: 50}
	for _, x := range []struct {
		name   string
		body   predict.Body
		o      Outcome
		final  int64
		unused int64
	}{
		{"usage", predict.Body{}, usage, 450, 550},
		{"the whole text", predict.Body{}, whole, 450, 550},
		{"a part of it", predict.Body{}, broken, 1000, 0},
		{"a conversation", predict.Body{Conversation: "c"}, usage, 450, 0},
		{"a conversation's whole text", predict.Body{Conversation: "c"}, whole, 450, 0},
		{"nothing declared", predict.Body{Undeclared: true}, usage, 450, 0},
		{"as a whole", predict.Body{Whole: true}, usage, 450, 0},
		{"cancelled", predict.Body{}, Outcome{Cancelled: true}, 0, 0},
		{"failed", predict.Body{}, Outcome{Failed: 429}, 0, 0},
		{"not metered", predict.Body{}, Outcome{HasUsage: true, Usage: wire.Usage{Total: 450}}, 450, 0},
	} {
		run(t, false, func(b *bench) {
			b.open()
			c := call(1000)
			c.Body.Input = 400
			r := b.admit(c)
			r.Call.Body.Conversation, r.Call.Body.Undeclared, r.Call.Body.Whole = x.body.Conversation, x.body.Undeclared, x.body.Whole
			func() {
				r.scope.account.mu.Lock()
				defer r.scope.account.mu.Unlock()
				if final, unused := r.finalLocked(time.Now(), &x.o); final[backend.Tokens] != x.final || unused != x.unused {
					b.Errorf("%s: %v, %d unused; want %d, %d", x.name, final, unused, x.final, x.unused)
				}
			}()
			r.end()
		})
	}
}
