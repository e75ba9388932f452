package ratelimiter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/internal/decode"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// An Option configures a [Limiter].
type Option interface {
	apply(*config)
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// A limitsOption sets limits. It may be given to [Limiter.SetLimits] too.
type limitsOption func(*config)

func (f limitsOption) apply(c *config) { f(c) }

// config collects the options; New checks it as a whole.
type config struct {
	models     map[string]Limits
	families   map[string]family
	limits     *Limits // of the account
	backend    backend.Backend
	account    string
	digestKey  *[]byte       // behind a pointer no verb of fmt prints it
	maxWait    time.Duration // negative: none
	maxPause   time.Duration
	maxWaiting int // 0: any number
	classes    map[string]Class
	traces     []*Trace // in the order in which they run
	counter    tokens.Counter
	exact      bool // nothing is estimated that can be counted
	decoders   decode.Set
	usage      bool // ask streams for usage
	endpoints  []namedEndpoint
	failOpen   bool // while the backend is away
	fallback   *Limits
	warnings   warnings
	responses  bool // stand for rejections
	shadow     bool // no call waits or is rejected
	errs       []error
}

type family struct {
	limits Limits
	models []string
}

// defaultMaxPause is the longest that a throttle by the server pauses a scope,
// unless WithMaxPause says otherwise.
const defaultMaxPause = 10 * time.Minute

func newConfig(options []Option) (*config, error) {
	c := emptyConfig()
	c.maxWait, c.maxPause = -1, defaultMaxPause
	c.warnings = warnings{log: slog.Default, after: defaultLongWait}
	c.counter, c.decoders = tokens.Exact{}, decode.Set{}
	for _, o := range options {
		c.apply(o)
	}
	if c.backend == nil {
		if c.failOpen || c.fallback != nil {
			c.fault(errors.New("WithFallback and WithFailOpen need WithBackend: memory is always there"))
		}
		c.backend = memory.New()
	}
	if _, library := c.counter.(tokens.Exact); library && !tokens.Tables {
		c.fault(errors.New("the program is built with ratelimiter_notables, without vocabularies: New needs WithCounter"))
	}
	if c.failOpen && c.fallback != nil {
		c.fault(errors.New("WithFallback and WithFailOpen contradict each other"))
	}
	return c, c.check()
}

// emptyConfig configures nothing.
func emptyConfig() *config {
	return &config{models: map[string]Limits{}, families: map[string]family{}, digestKey: new([]byte)}
}

func (c *config) apply(o Option) {
	if o != nil {
		o.apply(c)
	}
}

// check reports all that is wrong, together.
func (c *config) check() error {
	c.checkFamilies()
	c.checkConcurrent()
	if len(c.errs) == 0 {
		return nil
	}
	return fmt.Errorf("ratelimiter: the configuration is faulty:\n%w", errors.Join(c.errs...))
}

func (c *config) fault(err error) {
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

// checkFamilies finds models that are in two families.
func (c *config) checkFamilies() {
	member := map[string]string{}
	for name, f := range c.families {
		for _, m := range f.models {
			other, ok := member[m]
			if ok && other != name {
				if name < other {
					name, other = other, name
				}
				c.fault(fmt.Errorf("model %q is in two families, %q and %q", m, other, name))
			}
			member[m] = name
		}
	}
}

// checkConcurrent finds limits on calls in flight that nothing would keep.
func (c *config) checkConcurrent() {
	limited := c.limits != nil && c.limits.Concurrent > 0
	for _, l := range c.models {
		limited = limited || l.Concurrent > 0
	}
	for _, f := range c.families {
		limited = limited || f.limits.Concurrent > 0
	}
	for _, class := range c.classes {
		limited = limited || class.Limits.Concurrent > 0
	}
	if _, ok := c.backend.(backend.Lessor); limited && !ok {
		c.fault(fmt.Errorf("WithBackend: a %T can't share a limit on calls in flight (Concurrent): it does not implement backend.Lessor", c.backend))
	}
	if c.fallback != nil && c.fallback.Concurrent > 0 && !limited {
		c.fault(errors.New("WithFallback: Concurrent is set, but no model, family or account has a Concurrent"))
	}
}

// WithLimits sets the limits of a model. The name must be the one that
// requests give, or the deployment's on Azure. Names are compared without surrounding
// space and in lower case. A dated name such as gpt-4o-2024-08-06 is a model of its
// own: use [WithShared] where it shares its alias's limits.
func WithLimits(model string, limits Limits) Option {
	return limitsOption(func(c *config) {
		name := normalizeModel(model)
		if name == "" {
			c.fault(errors.New("WithLimits: the model's name is empty; WithAccountLimits sets limits for all models together"))
		}
		if old, ok := c.models[name]; ok && old != limits {
			c.fault(fmt.Errorf("WithLimits: model %q is configured twice: put all its limits together", name))
		}
		c.fault(limits.faults(fmt.Sprintf("WithLimits(%q)", model)))
		c.models[name] = limits
	})
}

// WithShared gives several models one budget, such as a family that shares its
// limits. Each model may also have limits of its own, and is in one family at most.
func WithShared(name string, limits Limits, models ...string) Option {
	return limitsOption(func(c *config) {
		what := fmt.Sprintf("WithShared(%q)", name)
		if name == "" {
			c.fault(errors.New("WithShared: the family's name is empty"))
		}
		if _, ok := c.families[name]; ok {
			c.fault(fmt.Errorf("%s: the family is given twice", what))
		}
		if len(models) == 0 {
			c.fault(fmt.Errorf("%s: no models are named", what))
		}
		c.fault(limits.faults(what))
		f := c.families[name]
		f.limits = limits
		for _, m := range models {
			if m = normalizeModel(m); m == "" {
				c.fault(fmt.Errorf("%s: a model's name is empty", what))
			}
			if !slices.Contains(f.models, m) {
				f.models = append(f.models, m)
			}
		}
		c.families[name] = f
	})
}

// WithAccountLimits limits all models of an account together. Each account
// that the limiter meets has these limits for itself.
func WithAccountLimits(limits Limits) Option {
	return limitsOption(func(c *config) {
		if c.limits != nil {
			c.fault(errors.New("WithAccountLimits is given twice"))
		}
		c.fault(limits.faults("WithAccountLimits"))
		c.limits = &limits
	})
}

// WithBackend keeps the budget in b instead of this limiter's own memory.
func WithBackend(b backend.Backend) Option {
	return optionFunc(func(c *config) {
		if b == nil {
			c.fault(errors.New("WithBackend: the backend is nil"))
		}
		c.backend = b
	})
}

// WithAccount names the account that pays for every call of the limiter.
// Without it the account is found in the request, by what stays the same when
// credentials rotate: its host, and its OpenAI-Organization and OpenAI-Project headers,
// or the issuer and subject of a JWT, or else a digest of its API key. On Azure and
// Amazon Bedrock it is the host alone, on Google Cloud the host and the project in the
// path. All keys of an account should share its budget, so name the account where
// several keys are in use; [Trace.Credentials] reports a host on which that is likely.
func WithAccount(name string) Option {
	return optionFunc(func(c *config) {
		if name == "" {
			c.fault(errors.New("WithAccount: the name is empty"))
		}
		c.account = name
	})
}

// WithDigestKey sets the key of the digests that stand for API keys in the names of accounts.
// Each digest is then an HMAC. The key must have at least 16 bytes, and be the same in all
// processes that share a budget. Without it the digests are plain hashes: whoever sees them can
// match those of two deployments, and test a list of guessed API keys.
func WithDigestKey(key []byte) Option {
	return optionFunc(func(c *config) {
		if len(key) < 16 {
			c.fault(fmt.Errorf("WithDigestKey: the key has %s; it must have at least 16", amount(int64(len(key)), "bytes")))
		}
		*c.digestKey = bytes.Clone(key)
	})
}

// WithMaxWait rejects calls that can't start within d, with [ErrMaxWait]; 0 rejects
// whatever can't start at once, and d must not be negative. By default calls wait as long as
// their context lets them.
func WithMaxWait(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if d < 0 {
			c.fault(fmt.Errorf("WithMaxWait: %v is negative", d))
		}
		c.maxWait = d
	})
}

// WithMaxWaiting lets at most n calls of a model wait in this process, for each account by
// itself; n must be positive. A call beyond them that would have to wait is rejected at once,
// with [ErrQueueFull]. Without it any number may wait. [WithMaxWait] of 0 lets none wait.
//
// Classes and tenants share the n places as they share the budget, and places that some don't
// need are free for the others. When all places are taken, a call whose class and tenant have
// less than their share still gets one. It takes the place of another call, which is rejected
// instead: the last call of whoever is most above their share. A class with limits of its own
// has n places of its own for each model, so that a line which its limits let grow takes nobody
// else's.
func WithMaxWaiting(n int) Option {
	return optionFunc(func(c *config) {
		if n <= 0 {
			c.fault(fmt.Errorf("WithMaxWaiting: %d is not positive; WithMaxWait(0) lets no call wait", n))
		}
		c.maxWaiting = n
	})
}

// WithMaxPause bounds how long a throttle by the server pauses a model, a family or an account,
// whatever the server says; d must be positive. After that, calls are tried again. The default
// is ten minutes.
func WithMaxPause(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if d <= 0 {
			c.fault(fmt.Errorf("WithMaxPause: %v is not positive", d))
		}
		c.maxPause = d
	})
}

// WithFallback gives this process limits of its own while the backend does not answer, in place
// of rejecting calls with [ErrBackend]. Set them to the process's share of the budget. They hold
// for each model, or for models that share limits together. A call above one of them starts once
// that limit's budget is full, and the calls behind it wait until its debt has refilled. The
// backend is tried again once a second; [Trace.Backend] reports both changes.
//
// Meanwhile ceilings of classes don't hold, except those on calls in flight.
//
// What these limits let through comes on top of what the backend grants. Their budget is full
// when the backend fails, and a single ask without a reply lets calls draw on it for a second.
func WithFallback(limits Limits) Option {
	return optionFunc(func(c *config) {
		c.fault(limits.faults("WithFallback"))
		c.fallback = &limits
	})
}

// WithFailOpen lets all calls pass while the backend does not answer, instead of
// rejecting them with [ErrBackend]. The backend is tried again once a second;
// [Trace.Backend] reports both changes.
func WithFailOpen() Option {
	return optionFunc(func(c *config) { c.failOpen = true })
}

// WithTrace adds hooks for all calls of the limiter. It may be given several times: then the
// hooks run in the order of the options, after those of [ContextWithTrace].
func WithTrace(t *Trace) Option {
	return optionFunc(func(c *config) {
		if t != nil {
			c.traces = append(c.traces, t)
		}
	})
}

// WithWarnings sets the logger of the limiter's warnings, which is slog.Default() without it. A
// nil logger turns them off. The limiter warns
//   - of calls that have waited for longer than after, once a minute for each model; 0 means
//     30 seconds
//   - of a model's first call if others have limits and this one has none, since its name may
//     be misspelt; also of the first call that names no model
//   - of a class's first call if [WithClasses] names others and not this one
//   - of a response's body that nobody has closed, once a minute
func WithWarnings(logger *slog.Logger, after time.Duration) Option {
	return optionFunc(func(c *config) {
		if after < 0 {
			c.fault(fmt.Errorf("WithWarnings: %v is negative", after))
		}
		c.warnings = warnings{after: cmp.Or(after, defaultLongWait)}
		if logger != nil {
			c.warnings.log = func() *slog.Logger { return logger }
		}
	})
}

// WithExactCounts counts all of a request's text. Without it, the text of a JSON body above
// 16 KiB is estimated from windows all over it. That takes a seventh of the time, and is within
// some 3 % for ordinary text; the usage in the response settles the difference. No call is
// rejected as too large by an estimate: it is counted first.
func WithExactCounts() Option { return optionFunc(func(c *config) { c.exact = true }) }

// WithCounter counts tokens with c. Without it they are counted as OpenAI's tiktoken does. All
// of the text is counted, as with [WithExactCounts]. A program that always has a counter of its
// own can be built with the tag ratelimiter_notables, which leaves out the library's
// vocabularies of 5 MB. New then fails without WithCounter.
func WithCounter(c Counter) Option {
	return optionFunc(func(conf *config) {
		if c == nil {
			conf.fault(errors.New("WithCounter: the counter is nil"))
			return
		}
		conf.counter, conf.exact = userCounter{c}, true
	})
}

// WithDecoder lets the limiter read bodies of a Content-Encoding, such as "br" or "zstd": a
// request's for its cost, and a response's for its usage and errors. Gzip and deflate need no
// decoder. What the caller and the server see stays as it is. Without a decoder, a request in
// such an encoding is charged no tokens until its response, and a response is charged as one
// without usage.
//
// Responses are compressed only where the caller asks for it with an Accept-Encoding of its
// own, as a reverse proxy does. The decoder is called for each such body. Its reader must
// return what it can as soon as it can, or streams are metered late. If the reader has a
// Close method, that is called. A decoder that reads on without end is given up.
func WithDecoder(encoding string, decoder func(io.Reader) (io.Reader, error)) Option {
	return optionFunc(func(c *config) {
		name := decode.Name(encoding)
		switch {
		case decode.EncodesNothing(name):
			c.fault(fmt.Errorf("WithDecoder: %q encodes nothing", encoding))
		case decoder == nil:
			c.fault(fmt.Errorf("WithDecoder(%q): the decoder is nil", encoding))
		}
		c.decoders[name] = decoder
	})
}

// WithRejectionResponses makes a [Transport] return a rejection as a response instead of an
// error. It is for clients that take every error of the transport for a failure of the network
// and retry it. The adapters do not need it. The response is a 503 for [ErrBackend] and
// [ErrShutdown], and else a 429. It has x-should-retry: false, which OpenAI's SDKs obey, and
// Retry-After where that is known. Its body is an error in OpenAI's form, of type "ratelimiter",
// whose code is that of [Error.Code].
func WithRejectionResponses() Option {
	return optionFunc(func(c *config) { c.responses = true })
}

// WithStreamUsage asks chat and text streams for their usage. It sets "stream_options":
// {"include_usage": true} in requests that say nothing of include_usage, and leaves the rest of
// their body as it is. Their charge is then settled to the exact usage. Without it, it is settled
// to the text that came; a model that reasons shows only a part of its output as text, so its
// streams keep what was reserved. It is off by default since it changes what the caller sees:
// the stream gets a last chunk without choices.
func WithStreamUsage() Option {
	return optionFunc(func(c *config) { c.usage = true })
}
