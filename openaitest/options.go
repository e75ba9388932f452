package openaitest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// An Option sets a server's limits or switches one of its behaviours.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	models     map[string]Limits
	shared     []sharedLimits
	account    Limits
	projects   map[string]Limits
	dialect    Dialect
	subwindows *Subwindows
	latency    func(*Call) Timing
	answer     func(*Call) Answer
	estimate   func(*Call) int64
	header     func(*Call, int, http.Header)
	log        func(Record)

	undeclared     Undeclared
	refunds        bool
	failureRefunds bool
	countThrottled bool
	keepRatio      bool
	azure          bool
	headers        bool
	extraHeaders   bool
	headerLimits   map[dimension]Limit
}

type sharedLimits struct {
	name   string
	limits Limits
	models []string
}

// WithLimits sets the limits of one model, named exactly as requests name it
// (on Azure, the deployment). Model "" stands for every model that is not named
// otherwise; each has buckets of its own. Without it they are not limited.
func WithLimits(model string, limits Limits) Option {
	return optionFunc(func(c *config) { c.models[model] = limits })
}

// WithShared makes models draw from one set of buckets, in addition to their
// own, if they have any; the limits of model "" are not theirs. Headers show the
// tightest.
func WithShared(name string, limits Limits, models ...string) Option {
	return optionFunc(func(c *config) {
		c.shared = append(c.shared, sharedLimits{name, limits, slices.Clone(models)})
	})
}

// WithAccountLimits sets limits that all models draw from together.
func WithAccountLimits(limits Limits) Option {
	return optionFunc(func(c *config) { c.account = limits })
}

// WithProjectLimits sets limits that a model has in the caller's project, beside those of
// its organization, which WithLimits sets. -project-tokens report the tokens, and no
// other header does.
func WithProjectLimits(model string, limits Limits) Option {
	return optionFunc(func(c *config) { c.projects[model] = limits })
}

// Subwindows describe limits enforced in short subwindows, as "60,000 requests a minute
// may be enforced as 1,000 requests a second". The zero value means continuous
// one-second subwindows of the per-minute limits.
type Subwindows struct {
	// Length of a subwindow; zero means one second. A subwindow holds what the limit
	// refills in that time.
	Length time.Duration
	// On are the limits enforced so; none means RPM, TPM and IPM.
	On []Limit
	// Fixed makes the subwindows windows that begin afresh at every multiple of
	// Length, in place of small buckets that refill continuously.
	Fixed bool
	// Strict throttles for ever what is larger than a subwindow. By default it passes
	// when its subwindow is unused, and a continuous subwindow is then in debt.
	Strict bool
	// Reported makes headers report the subwindow, as some Azure endpoints do (120
	// RPM reported as 20), in place of the limit itself.
	Reported bool
}

func (s *Subwindows) cover(limit Limit) bool { return s != nil && slices.Contains(s.On, limit) }

// WithSubwindows enforces limits in subwindows too. 429s name the limit of the whole
// period, although it may be far from reached. By default there are none.
func WithSubwindows(s Subwindows) Option {
	if s.Length == 0 {
		s.Length = time.Second
	}
	if len(s.On) == 0 {
		s.On = []Limit{RPM, TPM, IPM}
	}
	return optionFunc(func(c *config) { c.subwindows = &s })
}

// Undeclared says what is charged for output where a call declares none.
type Undeclared int

const (
	// Flat16 charges 16 tokens for each choice, whatever the output.
	Flat16 Undeclared = iota
	// Flat16ThenDebit charges 16 tokens for each choice, and what the output
	// exceeds them by when the answer is complete, even beyond the limit.
	Flat16ThenDebit
	// DebitWhole charges the whole output when the answer is complete, even
	// beyond the limit, and nothing at admission.
	DebitWhole
)

// WithUndeclared sets what is charged where no output is declared. The default
// is Flat16.
func WithUndeclared(u Undeclared) Option {
	return optionFunc(func(c *config) { c.undeclared = u })
}

// WithRefunds sets whether what a complete answer leaves of the output that was
// charged at admission goes back to the buckets. By default it does not. An
// answer that fails or is broken off gets nothing back by it, nor is it debited.
func WithRefunds(on bool) Option { return optionFunc(func(c *config) { c.refunds = on }) }

// WithFailureRefunds sets whether the tokens and images of a call that was
// admitted and then failed (a status of 400 or more, an error inside its
// stream) go back. By default they do not. Its request never does.
func WithFailureRefunds(on bool) Option {
	return optionFunc(func(c *config) { c.failureRefunds = on })
}

// WithThrottlesCounted sets whether a request that is throttled with a 429 counts
// as a request even where there is no room for it, so that Used may exceed
// Limit and a client that hammers shuts itself out. By default it counts in
// the buckets that have room.
func WithThrottlesCounted(always bool) Option {
	return optionFunc(func(c *config) { c.countThrottled = always })
}

// WithRatioKept sets whether [Server.SetLimits] keeps the used share of a
// limit. By default it keeps the used amount.
func WithRatioKept(on bool) Option { return optionFunc(func(c *config) { c.keepRatio = on }) }

// WithPromptEstimate replaces the estimate charged for prompts, to scale it or
// to add noise. The call holds the default in PromptEstimate. f is called once
// a call, concurrently.
func WithPromptEstimate(f func(*Call) int64) Option {
	return optionFunc(func(c *config) { c.estimate = f })
}

// A Timing is when things happen to a call, each counted from its arrival.
// Zero means at once; what comes later in a call's life is never earlier.
type Timing struct {
	// Admission is when the buckets are asked: the way to the server.
	Admission time.Duration
	// Throttle is when a throttled call gets its 429.
	Throttle time.Duration
	// Headers is when a streamed answer begins. Other answers come whole at
	// Total.
	Headers time.Duration
	// Total is when the answer ends.
	Total time.Duration
}

// WithLatency makes streamed answers begin after headers, and all answers end
// after total, counted from the arrival of the call.
func WithLatency(headers, total time.Duration) Option {
	return WithTiming(func(*Call) Timing { return Timing{Headers: headers, Total: total} })
}

// WithTiming sets each call's timing. f is called once a call, concurrently.
func WithTiming(f func(*Call) Timing) Option {
	return optionFunc(func(c *config) { c.latency = f })
}

// WithAnswer sets what is answered. f is called once for each call as it
// arrives, concurrently, also for those that the buckets then throttle. The zero
// Answer is the default.
func WithAnswer(f func(*Call) Answer) Option {
	return optionFunc(func(c *config) { c.answer = f })
}

// WithHeaders sets whether answers carry x-ratelimit headers. By default they
// do. 429s carry Retry-After either way.
func WithHeaders(on bool) Option { return optionFunc(func(c *config) { c.headers = on }) }

// WithHeaderLimits names the limits that x-ratelimit-*-requests and -tokens
// report, such as RPD and TPM. By default they report RPM and TPM. Where the
// one named is not set, the other of its kind is reported.
func WithHeaderLimits(limits ...Limit) Option {
	return optionFunc(func(c *config) {
		for _, l := range limits {
			c.headerLimits[l.dimension()] = l
		}
	})
}

// WithExtraHeaders sets whether answers carry what has been seen beside the documented headers:
// -tokens_usage_based (which repeats -tokens), -project-tokens (the account's tokens, for want of
// [WithProjectLimits]), -input-images on calls that show the model pictures, and the never
// confirmed -images on image endpoints.
func WithExtraHeaders(on bool) Option {
	return optionFunc(func(c *config) { c.extraHeaders = on })
}

// WithAzure makes headers and 429s those of Azure: resets in whole seconds
// without a unit, retry-after-ms 0, renewal periods, code "429". By default
// only calls on an Azure deployment path get them.
func WithAzure(on bool) Option { return optionFunc(func(c *config) { c.azure = on }) }

// WithHeader lets f edit the headers of every answer to a call, the last thing
// before they are sent: to lie, to drop, to add. f is called concurrently.
func WithHeader(f func(c *Call, status int, h http.Header)) Option {
	return optionFunc(func(c *config) { c.header = f })
}

// WithLog gives f a record of each call, once, when the server is done with it
// and before the last of the answer is sent. f is called concurrently.
func WithLog(f func(Record)) Option { return optionFunc(func(c *config) { c.log = f }) }

// check panics on what cannot be meant.
func (c *config) check() {
	for model, limits := range c.models {
		checkLimits(model, limits)
	}
	for model, limits := range c.projects {
		checkLimits(model, limits)
	}
	checkLimits(accountName, c.account)
	seen := map[string]bool{}
	for _, s := range c.shared {
		checkLimits(s.name, s.limits)
		if _, isModel := c.models[s.name]; isModel || seen[s.name] || s.name == "" || s.name == accountName {
			panic(fmt.Sprintf("openaitest: the name %q of shared limits is taken", s.name))
		}
		seen[s.name] = true
	}
	if c.subwindows != nil {
		for _, l := range c.subwindows.On {
			if c.subwindows.Length < 0 || c.subwindows.Length > l.Period() {
				panic(fmt.Sprintf("openaitest: %v subwindows of %v", c.subwindows.Length, l))
			}
		}
	}
}
