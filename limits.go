package ratelimiter

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// Limits are what a model, a family of models or an account may use. A zero
// field is not limited by configuration; the limiter still learns it from the
// server's x-ratelimit-* headers. A field that is set is a ceiling: what the
// server says can lower it, never raise it. [New] and [Limiter.SetLimits] report
// fields that are negative or above 2^40, an RPM above the RPD, a TPM above the
// TPD, and Limits without any limit.
type Limits struct {
	RPM int64 // requests per minute
	RPD int64 // requests per day
	TPM int64 // tokens per minute
	TPD int64 // tokens per day
	IPM int64 // images per minute

	// Concurrent is how many calls may be in flight at a time, in all processes that share
	// the budget. 0 means any number: this limit is never learned. A call counts from its start
	// until its response's body has been read to the end or closed. A [Reservation] without
	// HTTP counts until its Settle or Cancel. Processes that need more than there is get equal
	// shares, whatever the classes of their calls. Within a process, classes share them by
	// weight. [Class.Limits] can keep a class from taking all of them.
	Concurrent int64

	// Burst bounds how much of the limits per minute may be used at once: what refills in
	// that time, which is at most a minute. 0 means a whole minute's worth. Set it to one
	// second if the server enforces 60,000 RPM as 1,000 per second.
	Burst time.Duration
}

// Usage is what a response says its call has used. The zero value says nothing.
type Usage struct {
	InputTokens  int64
	OutputTokens int64
	TotalTokens  int64 // 0 means InputTokens + OutputTokens
}

func (u Usage) total() int64 {
	if u.TotalTokens > 0 {
		return u.TotalTokens
	}
	switch sum := u.InputTokens + u.OutputTokens; {
	case u.InputTokens > 0 && u.OutputTokens > 0 && sum < 0:
		return math.MaxInt64
	case u.InputTokens < 0 && u.OutputTokens < 0 && sum >= 0:
		return math.MinInt64
	default:
		return sum
	}
}

// Cost is what a call draws from each dimension. As a [Call], it states the cost of a call
// that the limiter knows nothing else about. Zero Requests then mean one, and negative figures
// count as 0.
type Cost struct {
	Model    string
	Requests int64
	Tokens   int64
	Images   int64
}

func (c Cost) amounts() backend.Amounts {
	bound := func(n int64) int64 { return min(max(0, n), quota.Largest) }
	return backend.Amounts{
		backend.Requests: bound(c.Requests),
		backend.Tokens:   bound(c.Tokens),
		backend.Images:   bound(c.Images),
	}
}

func costOf(model string, a backend.Amounts) Cost {
	return Cost{Model: model, Requests: a[backend.Requests], Tokens: a[backend.Tokens], Images: a[backend.Images]}
}

// rule is what the limits configure.
func (l Limits) rule() quota.Rule {
	return quota.Rule{Amounts: l.each(), Burst: l.Burst, Concurrent: l.Concurrent}
}

// each returns the limits in the order of quota.Kinds.
func (l Limits) each() [len(quota.Kinds)]int64 {
	return [...]int64{l.RPM, l.RPD, l.TPM, l.TPD, l.IPM}
}

// faults reports everything that is wrong with the limits of what.
func (l Limits) faults(what string) error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{what}, args...)...))
	}
	names := [...]string{"RPM", "RPD", "TPM", "TPD", "IPM", "Concurrent"}
	amounts := l.each()
	set := false
	for i, n := range append(amounts[:], l.Concurrent) {
		set = set || n > 0
		switch {
		case n < 0:
			fault("%s is %d: a limit must be positive, or 0 for none", names[i], n)
		case n > quota.Largest:
			fault("%s is %d: the most is %d", names[i], n, int64(quota.Largest))
		}
	}
	switch {
	case l.Burst < 0:
		fault("Burst is %v: it must be positive, or 0 for a whole minute", l.Burst)
	case l.Burst > time.Minute:
		fault("Burst is %v: it is above the minute that the limits are for", l.Burst)
	case l.Burst > 0 && l.RPM == 0 && l.TPM == 0 && l.IPM == 0:
		fault("Burst is set without a limit per minute")
	}
	if !set && len(errs) == 0 {
		fault("no limit is set")
	}
	if l.RPM > 0 && l.RPD > 0 && l.RPM > l.RPD {
		fault("RPM %d is above RPD %d, which could never be used", l.RPM, l.RPD)
	}
	if l.TPM > 0 && l.TPD > 0 && l.TPM > l.TPD {
		fault("TPM %d is above TPD %d, which could never be used", l.TPM, l.TPD)
	}
	return errors.Join(errs...)
}
