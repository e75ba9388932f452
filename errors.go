package ratelimiter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// The reasons for which calls are rejected. errors.Is finds them in what the limiter
// returns, and in what an SDK returns around it.
var (
	// ErrTooLarge: the call costs more than a limit allows; it can never be sent.
	ErrTooLarge = errors.New("the call is larger than the limit")
	// ErrDeadline: the call can't start before its context's deadline. Also
	// matches context.DeadlineExceeded.
	ErrDeadline = errors.New("the call can't start before its deadline")
	// ErrMaxWait: the call can't start within the longest wait it was given
	// with ContextWithMaxWait, by its class, or with WithMaxWait.
	ErrMaxWait = errors.New("the call can't start within its longest wait")
	// ErrQueueFull: as many calls of the model wait as WithMaxWaiting allows. A call that has
	// waited may fail with it too, if a tenant or a class with fewer calls needs its place.
	ErrQueueFull = errors.New("too many calls wait already")
	// ErrBackend: the backend does not answer. It has been asked for five seconds if its error
	// says that another ask might succeed (see [backend.ErrUnavailable]), and twice if not.
	// Later calls are rejected after one ask. A model's first call in a process may take one
	// of the backend's timeouts more, since it also asks what other processes have learned.
	ErrBackend = errors.New("the budget's store does not answer")
	// ErrNoAccount: a call without HTTP, or a question, names no account, and there is
	// more than one that it could mean.
	ErrNoAccount = errors.New("no account is named, and there are several")
	// ErrShutdown: the limiter has been shut down.
	ErrShutdown = errors.New("the limiter has been shut down")
	// ErrNoLimiter: the limiter is nil, or was not made by New.
	ErrNoLimiter = errors.New("the limiter is nil or was not made by New")
)

// Error says why a call was rejected, before it was sent and without a charge.
// It unwraps to one of the sentinels of this package, and to the backend's error
// where there is one.
type Error struct {
	// Reason is one of the sentinels.
	Reason error
	// Cause is the backend's error, where it had one, else nil.
	Cause error
	// Account and Model name the scope, Class and Tenant on whose behalf the call asked.
	Account, Model string
	Class, Tenant  string
	// Cost is what the call needed.
	Cost Cost
	// Owner is whose limit stands in the way: the model, "family:" and a family's name,
	// "class:" and that of a class, or "account". It is empty where no limit does.
	Owner string
	// Unit ("requests", "tokens", "images" or "calls in flight"), Need, Limit and Period
	// describe the limit that stands in the way; Unit is empty where none does. Calls in
	// flight have no Period.
	Unit   string
	Need   int64
	Limit  int64
	Period time.Duration
	// Source is where the limit comes from: "configured", "configured in another process", or
	// the header or "a throttle by the server" that reported it, Age ago. Where a pace stands in the way, and no limit, it is
	// "pace": that of a model's first calls, or the one that its throttles have shown.
	Source string
	Age    time.Duration
	// Wait is how long the call would have had to wait at least, as far as was
	// known; it has already waited for Waited.
	Wait, Waited time.Duration
	// Allowed is the longest wait that the deadline or MaxWait left.
	Allowed time.Duration
	// Waiting is how many calls of the model waited in this process when the call was
	// rejected with ErrQueueFull, and Oldest is for how long the oldest of them had. Where
	// Class has limits of its own, its calls alone are counted, and else those of all classes
	// that have none.
	Waiting int
	Oldest  time.Duration
}

// Error says what stands in the way and what to do about it.
func (e *Error) Error() string {
	if e == nil || e.Reason == nil {
		return "ratelimiter: the call is rejected"
	}
	var b strings.Builder
	b.WriteString("ratelimiter: ")
	switch {
	case e.Model != "" && e.Class != "":
		fmt.Fprintf(&b, "%s, class %s: ", e.Model, e.Class)
	case e.Model != "":
		fmt.Fprintf(&b, "%s: ", e.Model)
	}
	switch {
	case e.Reason == ErrTooLarge && e.Unit != "":
		fmt.Fprintf(&b, "needs %s, the limit%s is %s per %s", amount(e.Need, e.Unit), ofOwner(e.Owner, e.Model), thousands(e.Limit), periodName(e.Period))
		if e.Source != "" {
			fmt.Fprintf(&b, " (%s", e.Source)
			if e.Age > 0 {
				fmt.Fprintf(&b, ", %s ago", seconds(e.Age))
			}
			b.WriteByte(')')
		}
		switch e.Unit {
		case "tokens":
			b.WriteString(": shorten the input or lower max_tokens")
		case "images":
			b.WriteString(": ask for fewer images")
		case "requests":
			b.WriteString(": make them in several calls")
		}
	case e.Reason == ErrDeadline || e.Reason == ErrMaxWait:
		b.WriteString(e.Reason.Error())
		e.writeWait(&b)
	case e.Reason == ErrQueueFull && e.Waiting > 0:
		fmt.Fprintf(&b, "%v: %s, the oldest for %s: try again later, or raise WithMaxWaiting", e.Reason, thousands(int64(e.Waiting)), seconds(e.Oldest))
	case e.Reason == ErrNoAccount:
		b.WriteString("no account is named, and there are several: use WithAccount or ContextWithAccount")
	default:
		b.WriteString(e.Reason.Error())
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// writeWait says how long the call has waited, and would have to, for what.
func (e *Error) writeWait(b *strings.Builder) {
	left, more := e.RetryAfter(), ""
	switch {
	case left == 0:
		fmt.Fprintf(b, ": it has waited %s", seconds(e.Waited))
		if e.Unit == quota.Concurrent.Unit {
			fmt.Fprintf(b, " for a slot, the limit%s is %s", ofOwner(e.Owner, e.Model), amount(e.Limit, e.Unit))
		}
		b.WriteString(e.pace())
		return
	case e.Waited > 0:
		fmt.Fprintf(b, ": it has waited %s, and", seconds(e.Waited))
		more = " more"
	default:
		b.WriteString(": it")
	}
	wait, allowed := seconds(left), seconds(e.Allowed)
	if wait == allowed { // or it would read as if there were enough
		wait, allowed = left.Round(time.Millisecond).String(), e.Allowed.Round(time.Millisecond).String()
	}
	fmt.Fprintf(b, " would wait at least %s%s", wait, more)
	b.WriteString(e.pace())
	if e.Unit != "" {
		fmt.Fprintf(b, " for %s of %s per %s%s", amount(e.Need, e.Unit), thousands(e.Limit), periodName(e.Period), ofOwner(e.Owner, e.Model))
	}
	if e.Waited == 0 {
		fmt.Fprintf(b, ", but has only %s", allowed)
	}
}

// pace says that a pace is what a call has waited for.
func (e *Error) pace() string {
	if e.Source != paced {
		return ""
	}
	return " for the pace of the model's calls"
}

// RetryAfter is how much longer the call would have had to wait at least, as far as is known;
// 0 where that is not known, or no wait would help.
func (e *Error) RetryAfter() time.Duration {
	if e == nil {
		return 0
	}
	return max(0, e.Wait-e.Waited)
}

// paced is the source of what holds calls back that no limit does.
const paced = "pace"

// codes are short names of the reasons.
var codes = map[error]string{
	ErrTooLarge: "too_large", ErrDeadline: "deadline", ErrMaxWait: "max_wait", ErrQueueFull: "queue_full",
	ErrBackend: "backend", ErrShutdown: "shutdown",
}

// Code names the reason, for logs, metrics and clients: "too_large", "deadline", "max_wait",
// "queue_full", "backend" or "shutdown", or "" for ErrNoAccount and ErrNoLimiter.
func (e *Error) Code() string {
	if e == nil {
		return ""
	}
	return codes[e.Reason]
}

var reasons = map[engine.Reason]error{
	engine.TooLarge: ErrTooLarge, engine.Deadline: ErrDeadline, engine.MaxWait: ErrMaxWait,
	engine.BackendFailed: ErrBackend, engine.Shutdown: ErrShutdown,
	engine.QueueFull: ErrQueueFull,
}

// callRejected turns the engine's rejection of a call into an Error; other errors stay as
// they are.
func callRejected(err error, c *engine.Call) error {
	err = rejected(err, c.Account, c.Model)
	if e, ok := err.(*Error); ok {
		e.Class, e.Tenant = c.Flow.Class, c.Flow.Tenant
	}
	return err
}

// rejected is callRejected where there is no call.
func rejected(err error, account, model string) error {
	r, ok := err.(*engine.Rejection)
	if !ok {
		return err
	}
	e := &Error{
		Reason: reasons[r.Reason], Cause: r.Cause, Account: account, Model: model, Cost: costOf(model, r.Cost),
		Wait: r.Wait, Waited: r.Waited, Allowed: r.Allowed,
		Waiting: r.Waiting, Oldest: r.Oldest,
	}
	if r.Paced {
		e.Source = paced
	}
	if r.Kind.Name != "" {
		e.Unit, e.Period, e.Need = r.Kind.Unit, r.Kind.Period, r.Cost[r.Kind.Dimension]
		e.Owner, e.Limit, e.Source, e.Age = quota.OwnerTitle(r.Owner), r.Amount, r.Source, r.Age
		if r.Kind == quota.Concurrent {
			e.Need = 1
		}
	}
	return e
}

// Unwrap returns the reason and the cause.
func (e *Error) Unwrap() []error {
	if e == nil || e.Reason == nil {
		return nil
	}
	if e.Cause == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Cause}
}

// Is makes ErrDeadline match context.DeadlineExceeded, which it foresees.
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && e != nil && e.Reason == ErrDeadline
}

// amount writes so many of a unit, which is in the plural.
func amount(n int64, unit string) string {
	if n == 1 {
		first, rest, more := strings.Cut(unit, " ")
		if unit = strings.TrimSuffix(first, "s"); more {
			unit += " " + rest
		}
	}
	return thousands(n) + " " + unit
}

// ofOwner says whose limit it is, as [Error.Owner] names it, unless it is the model's own.
func ofOwner(owner, model string) string {
	switch {
	case owner == model || owner == "":
		return ""
	case owner == quota.AccountOwner:
		return " of the account"
	default: // "family:" or "class:" and a name
		return " of " + strings.Replace(owner, ":", " ", 1)
	}
}

func periodName(d time.Duration) string {
	switch d {
	case time.Minute:
		return "minute"
	case 24 * time.Hour:
		return "day"
	}
	return d.String()
}

// seconds formats a duration for a message.
func seconds(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Millisecond).String()
	}
}

// thousands writes 31538 as 31,538.
func thousands(n int64) string {
	if n == math.MinInt64 {
		return fmt.Sprint(n)
	}
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
