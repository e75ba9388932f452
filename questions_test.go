package ratelimiter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// An event is something that happens to a program at a time: a call that comes, or a
// change at the server.
type event struct {
	At       time.Duration
	Model    string
	Tokens   int
	Patience time.Duration // 0: any
	Deadline bool          // patience is the context's, else a longest wait
	Stream   bool
	Undo     bool // it is acquired without HTTP, and cancelled
	// Change is what becomes of the server before the call comes: "", "limits", "spend",
	// "429" or "slow_down".
	Change string
}

// A question is asked in between.
type question struct {
	At      time.Duration
	Kind    string // "delay", "delay of a body", "delay with a deadline" or "state"
	Account string
	Model   string
	Tokens  int64
}

// A world is what a program and its server are.
type world struct {
	RPM, TPM   int64 // of the server
	Configured bool
	Refunds    bool
	Events     []event
}

var worlds = rapid.Custom(func(rt *rapid.T) world {
	models := rapid.SampledFrom([]string{"a", "b"})
	w := world{
		RPM:        rapid.SampledFrom([]int64{60, 600}).Draw(rt, "rpm"),
		TPM:        rapid.SampledFrom([]int64{3_000, 30_000}).Draw(rt, "tpm"),
		Configured: rapid.Bool().Draw(rt, "configured"),
		Refunds:    rapid.Bool().Draw(rt, "refunds"),
	}
	times := rapid.SliceOfNDistinct(rapid.IntRange(0, 300), 1, 40, rapid.ID[int]).Draw(rt, "times")
	slices.Sort(times)
	for _, at := range times {
		e := event{
			At:    time.Duration(at) * time.Second / 2,
			Model: models.Draw(rt, "model"),
			// None leaves a debt of more than a limit: a backend cuts that when it hears of a
			// lower limit, which a question may tell it before the next call does.
			Tokens: rapid.SampledFrom([]int{0, 1, 50, 500, 1_200}).Draw(rt, "tokens"),
			Stream: rapid.Bool().Draw(rt, "stream"),
			Undo:   rapid.IntRange(0, 5).Draw(rt, "undo") == 0,
			Change: rapid.SampledFrom([]string{"", "", "", "", "", "limits", "spend", "429", "slow_down"}).Draw(rt, "change"),
		}
		if rapid.IntRange(0, 2).Draw(rt, "impatient") == 0 {
			e.Patience = time.Duration(rapid.IntRange(1, 20_000).Draw(rt, "patience")) * time.Millisecond
			e.Deadline = rapid.Bool().Draw(rt, "deadline")
		}
		w.Events = append(w.Events, e)
	}
	return w
})

var questions = rapid.Custom(func(rt *rapid.T) question {
	return question{
		At:      time.Duration(rapid.IntRange(0, 400).Draw(rt, "asked at")) * time.Second / 2,
		Kind:    rapid.SampledFrom([]string{"delay", "delay of a body", "delay with a deadline", "state"}).Draw(rt, "kind"),
		Account: rapid.SampledFrom([]string{"x", "x", "x", "never seen"}).Draw(rt, "account"),
		Model:   rapid.SampledFrom([]string{"a", "b", "never seen", ""}).Draw(rt, "asked model"),
		Tokens:  rapid.SampledFrom([]int64{0, 1, 500, 5_000, 40_000, 1 << 40, -1, 1 << 62}).Draw(rt, "asked tokens"),
	}
})

// run lets everything happen, with the questions in between, and returns what could be
// seen of it: each call's start, end and error, one call after the other, and the state
// at the end.
//
// Two events never come at the same time, nor do a question and an event, and the budget
// is in memory, where calls settle by themselves, so that nothing depends on which
// goroutine the runtime picks.
func (w world) run(t *testing.T, asked []question) (seen []string) {
	ofCalls := make([][]string, len(w.Events))
	synctest.Test(t, func(t *testing.T) {
		limits := openaitest.Limits{RPM: w.RPM, TPM: w.TPM}
		srv := openaitest.New(openaitest.WithLimits("a", limits), openaitest.WithLimits("b", limits),
			openaitest.WithRefunds(w.Refunds), openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
				odd := time.Duration(c.Seq) * 7 * time.Microsecond
				return openaitest.Timing{Throttle: 31*time.Millisecond + odd, Headers: 173*time.Millisecond + odd, Total: 1217*time.Millisecond + odd}
			}))
		options := []ratelimiter.Option{ratelimiter.WithAccount("x")}
		if w.Configured {
			options = append(options, ratelimiter.WithLimits("a", ratelimiter.Limits{RPM: w.RPM, TPM: 2 * w.TPM}))
		}
		l := newLimiter(t, options...)
		base := srv.Direct()
		begin := time.Now()
		var mu sync.Mutex
		note := func(i int, format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			ofCalls[i] = append(ofCalls[i], fmt.Sprintf("call %d, after %v: ", i, time.Since(begin))+fmt.Sprintf(format, args...))
		}

		var wg sync.WaitGroup
		for i, e := range w.Events {
			wg.Go(func() {
				time.Sleep(e.At + time.Duration(i)*11*time.Microsecond)
				switch e.Change {
				case "limits":
					srv.SetLimits(e.Model, openaitest.Limits{RPM: w.RPM / 2, TPM: w.TPM / 2})
				case "spend":
					srv.Spend(e.Model, openaitest.Cost{Tokens: w.TPM / 2})
				case "429":
					srv.Inject(1, openaitest.Answer{Status: http.StatusTooManyRequests, RetryAfter: 3 * time.Second})
				case "slow_down":
					srv.Inject(1, openaitest.SlowDown(2*time.Second))
				}
				ctx := ratelimiter.ContextWithTrace(t.Context(), &ratelimiter.Trace{
					Started: func(_ context.Context, info ratelimiter.StartedInfo) { note(i, "started: %+v", info) },
					Settled: func(_ context.Context, info ratelimiter.SettledInfo) { note(i, "settled: %+v", info) },
				})
				if e.Patience > 0 && e.Deadline {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, e.Patience)
					defer cancel()
				} else if e.Patience > 0 {
					ctx = ratelimiter.ContextWithMaxWait(ctx, e.Patience)
				}
				if e.Undo {
					r, err := l.Acquire(ctx, ratelimiter.Cost{Model: e.Model, Tokens: int64(e.Tokens)})
					note(i, "%v", err)
					if err == nil {
						time.Sleep(time.Second)
						r.Cancel()
					}
					return
				}
				body := chatBody(e.Model, e.Tokens, e.Stream)
				if e.Tokens == 0 { // which declares no maximum
					body = strings.Replace(body, `"max_tokens":0,`, "", 1)
				}
				client := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
					time.Sleep(time.Duration(i) * 17 * time.Microsecond) // of those let go together
					return base.RoundTrip(r)
				}))
				resp, err := client.Do(newRequest(t, ctx, chatURL, strings.NewReader(body)))
				if err != nil {
					note(i, "%v", err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				note(i, "%d, %v", resp.StatusCode, err)
			})
		}
		var others sync.WaitGroup
		for i, q := range asked {
			others.Go(func() {
				time.Sleep(q.At + 250*time.Millisecond + time.Duration(i)*13*time.Microsecond)
				w.ask(t, l, q)
			})
		}
		wg.Wait()
		for _, d := range []time.Duration{time.Millisecond, 10 * time.Minute} { // when the last question has been asked
			time.Sleep(d)
			state, err := l.State(t.Context())
			seen = append(seen, fmt.Sprintf("%v after it: %+v, %v", d, state, err))
		}
		others.Wait()
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return append(slices.Concat(ofCalls...), seen...)
}

// ask asks a question whose answer is of no interest.
func (w world) ask(t *testing.T, l *ratelimiter.Limiter, q question) {
	ctx := ratelimiter.ContextWithAccount(t.Context(), q.Account)
	switch q.Kind {
	case "delay":
		_, _ = l.Delay(ctx, ratelimiter.Cost{Model: q.Model, Tokens: q.Tokens, Images: q.Tokens})
	case "delay of a body":
		_, _ = l.Delay(ctx, ratelimiter.Chat{Model: q.Model, MaxTokens: q.Tokens, Messages: []ratelimiter.Message{{Role: "user", Content: "hi"}}})
	case "delay with a deadline":
		ctx, cancel := context.WithTimeout(ctx, time.Microsecond)
		defer cancel()
		_, _ = l.Delay(ctx, ratelimiter.Cost{Model: q.Model, Tokens: q.Tokens})
	case "state":
		_, _ = l.State(ctx)
	}
}

// Whoever asks how long a call would wait, or how the budget stands, changes nothing:
// every call starts when it would have started, ends as it would have ended, and the
// limiter knows in the end what it would have known.
func TestQuestionsChangeNothing(t *testing.T) {
	property(t, func(rt *rapid.T) {
		w := worlds.Draw(rt, "world")
		asked := rapid.SliceOfN(questions, 1, 20).Draw(rt, "questions")
		// Once in some thousand worlds two timers of the limiter end at one instant, and
		// which goroutine runs first makes a difference. What questions change is changed
		// each time.
		var want, got []string
		at := -1
		for range 5 {
			want, got = w.run(t, nil), w.run(t, asked)
			if at = differ(want, got); at < 0 {
				return
			}
		}
		rt.Fatalf("without questions:\n%s\nwith them:\n%s", line(want, at), line(got, at))
	})
}

// differ is the number of the first line in which two runs differ, or −1.
func differ(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || !alike(a[i], b[i]) {
			return i
		}
	}
	return -1
}

// alike reports whether two lines say the same. Of their figures a backend rounds times to
// microseconds, and State what remains to whole numbers.
func alike(a, b string) bool {
	figure := regexp.MustCompile(`-?[0-9][0-9hmµs.]*`)
	if figure.ReplaceAllString(a, "0") != figure.ReplaceAllString(b, "0") {
		return false
	}
	x, y := figure.FindAllString(a, -1), figure.FindAllString(b, -1)
	for i := range x {
		if x[i] == y[i] {
			continue
		}
		n, noCount := strconv.ParseInt(x[i], 10, 64)
		m, norThis := strconv.ParseInt(y[i], 10, 64)
		if noCount == nil && norThis == nil && n-m <= 1 && m-n <= 1 {
			continue
		}
		d, err1 := time.ParseDuration(x[i])
		e, err2 := time.ParseDuration(y[i])
		if err1 != nil || err2 != nil || (d-e).Abs() > time.Millisecond {
			return false
		}
	}
	return true
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}
