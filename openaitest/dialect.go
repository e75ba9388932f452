package openaitest

import (
	"net/http"
	"strconv"
	"time"
)

// Dialect is how a host reports its limits: which headers it sends, in what form, and
// what its 429s look like. What is limited, and how, does not depend on it.
type Dialect int

const (
	// OpenAI is the default: limits of requests and tokens, with the time until they are
	// full as a Go duration. Calls on an Azure deployment path get Azure's.
	OpenAI Dialect = iota
	// Azure is [WithAzure].
	Azure
	// Groq uses OpenAI's names: requests are always those of the day, tokens those of the
	// minute.
	Groq
	// Mistral reports requests and tokens a minute, no times, and what each call was
	// charged.
	Mistral
	// Cerebras reports requests and tokens, a minute and a day, and the seconds until the
	// minute and the day end.
	Cerebras
	// Together reports requests and tokens a second: it needs [WithSubwindows] of a second,
	// which are the default here.
	Together
	// Fireworks reports tokens of the prompt and of the output, of a period that it does
	// not name.
	Fireworks
	// OpenRouter reports requests, and only on its 429s, with the moment at which the
	// call may be sent again in milliseconds since 1970.
	OpenRouter
	// DigitalOcean reports requests, and tokens a minute and a day, with the moment at
	// which a call of this size fits in seconds since 1970.
	DigitalOcean
	// Anthropic reports requests and tokens a minute, the latter rounded to a thousand,
	// with the moment at which they are full.
	Anthropic

	dialectCount = iota
)

// WithDialect makes headers and 429s those of another host. By default they are OpenAI's.
func WithDialect(d Dialect) Option {
	return optionFunc(func(c *config) { c.dialect = d })
}

// settleDialect fills in what a dialect needs.
func (c *config) settleDialect() {
	switch c.dialect {
	case Azure:
		c.azure, c.dialect = true, OpenAI
	case Together:
		if c.subwindows == nil {
			WithSubwindows(Subwindows{}).apply(c)
		}
		c.subwindows.Reported = true
	}
}

// writers write the headers of the dialects that are not OpenAI's.
var writers = [dialectCount]func(h http.Header, s *snapshot){
	Groq:         writeGroq,
	Mistral:      writeMistral,
	Cerebras:     writeCerebras,
	Together:     writeTogether,
	Fireworks:    writeFireworks,
	OpenRouter:   writeNothing,
	DigitalOcean: writeDigitalOcean,
	Anthropic:    writeAnthropic,
}

// put writes limit and remaining under names with a prefix each and the same end.
func (f *figure) put(h http.Header, limit, remaining string) {
	if f.on {
		h[limit] = []string{number(f.limit)}
		h[remaining] = []string{number(f.remaining)}
	}
}

// named is put for names such as X-Ratelimit-Limit-Requests. What reset returns stands
// beside it, unless it is empty.
func (f *figure) named(h http.Header, name string, reset func(*figure) string) {
	f.put(h, "X-Ratelimit-Limit-"+name, "X-Ratelimit-Remaining-"+name)
	if f.on && reset != nil {
		h["X-Ratelimit-Reset-"+name] = []string{reset(f)}
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func goDuration(f *figure) string { return f.reset.Truncate(time.Millisecond).String() }

func writeGroq(h http.Header, s *snapshot) {
	h["X-Groq-Region"] = []string{"us-west-1"}
	s.limits[RPD].named(h, "Requests", goDuration)
	s.limits[TPM].named(h, "Tokens", goDuration)
}

func writeMistral(h http.Header, s *snapshot) {
	s.limits[RPM].named(h, "Req-Minute", nil)
	s.limits[TPM].named(h, "Tokens-Minute", nil)
	h["X-Ratelimit-Tokens-Query-Cost"] = []string{number(s.cost.Tokens)}
}

// writeCerebras writes the time to the end of the day and of the minute, whatever is used.
func writeCerebras(h http.Header, s *snapshot) {
	until := func(period time.Duration) func(*figure) string {
		return func(*figure) string {
			end := s.at.Truncate(period).Add(period)
			return strconv.FormatFloat(end.Sub(s.at).Seconds(), 'f', 6, 64)
		}
	}
	s.limits[RPM].named(h, "Requests-Minute", until(time.Minute))
	s.limits[RPD].named(h, "Requests-Day", until(24*time.Hour))
	s.limits[TPM].named(h, "Tokens-Minute", until(time.Minute))
	s.limits[TPD].named(h, "Tokens-Day", until(24*time.Hour))
}

func writeTogether(h http.Header, s *snapshot) {
	s.limits[RPM].put(h, "X-Ratelimit-Limit", "X-Ratelimit-Remaining")
	h["X-Ratelimit-Reset"] = []string{"1"}
	s.limits[TPM].put(h, "X-Tokenlimit-Limit", "X-Tokenlimit-Remaining")
}

// writeFireworks splits the tokens as if four in five were the prompt's.
func writeFireworks(h http.Header, s *snapshot) {
	s.limits[RPM].named(h, "Requests", nil)
	prompt, generated := s.limits[TPM], s.limits[TPM]
	generated.limit, generated.remaining = generated.limit/5, generated.remaining/5
	prompt.limit, prompt.remaining = prompt.limit-generated.limit, prompt.remaining-generated.remaining
	prompt.named(h, "Tokens-Prompt", nil)
	generated.named(h, "Tokens-Generated", nil)
	h["X-Ratelimit-Over-Limit"] = []string{"no"}
}

func writeNothing(http.Header, *snapshot) {}

func writeDigitalOcean(h http.Header, s *snapshot) {
	fits := func(f *figure) string {
		if f.fits == 0 {
			return "0"
		}
		return number(ceilSecond(s.at.Add(f.fits)).Unix())
	}
	s.limits[RPM].named(h, "Requests", fits)
	s.limits[TPM].named(h, "Tokens-Per-Minute", fits)
	s.limits[TPD].named(h, "Tokens-Per-Day", fits)
}

func writeAnthropic(h http.Header, s *snapshot) {
	group := func(name string, f figure) {
		name = "Anthropic-Ratelimit-" + name
		f.put(h, name+"-Limit", name+"-Remaining")
		if f.on {
			h[name+"-Reset"] = []string{ceilSecond(s.at.Add(f.reset)).UTC().Format(time.RFC3339)}
		}
	}
	group("Requests", s.limits[RPM])
	tokens := s.limits[TPM]
	tokens.remaining = min((tokens.remaining+500)/1000*1000, tokens.limit)
	group("Tokens", tokens)
}

func ceilSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); whole.Before(t) {
		return whole.Add(time.Second)
	}
	return t
}

// speak writes what a throttle looks like in a dialect that is not OpenAI's, and returns
// its body.
func (r *throttle) speak(d Dialect, h http.Header, c *Call) []byte {
	seconds := []string{number(int64(ceil(r.wait, time.Second) / time.Second))}
	switch d {
	case Groq:
		h["Retry-After"] = seconds
		return r.error(c.Model).bytes()
	case Mistral:
		return marshal(obj{"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": nil, "code": "1300"})
	case OpenRouter:
		h["X-Ratelimit-Limit"], h["X-Ratelimit-Remaining"] = []string{number(r.capacity)}, []string{"0"}
		h["X-Ratelimit-Reset"] = []string{number(time.Now().Add(ceil(r.wait, time.Millisecond)).UnixMilli())}
		return marshal(obj{"error": obj{"message": "Rate limit exceeded: free-models-per-min.", "code": http.StatusTooManyRequests}})
	case DigitalOcean:
		return marshal(obj{"error": obj{"message": "Rate limit exceeded", "type": "rate_limit_error"}})
	case Fireworks:
		h["X-Ratelimit-Over-Limit"] = []string{"yes"}
	}
	h["Retry-After"] = seconds
	return marshal(obj{"type": "error", "error": obj{
		"type": "rate_limit_error", "message": "This request would exceed your rate limit.", "code": "rate_limit_exceeded",
	}})
}
