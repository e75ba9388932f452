package wire

// Usage is what a response says its call used.
type Usage struct {
	// Input and Output are tokens; 0 where the server does not tell them apart.
	Input, Output int64
	// Total is total_tokens, or Input + Output where that is absent or smaller. Cached
	// tokens are included: they count toward the limits ("caching does not
	// affect rate limits", OpenAI's prompt-caching guide).
	Total int64
}

// counts holds the members of a usage object as they are read; 0 is absent. Both
// names of a count are kept apart, for some proxies send both and fill in one.
type counts struct {
	total, prompt, completion, input, output int64
	cached                                   int64 // written to a cache, beside the input
	seconds                                  float64
}

// raise makes each count the larger of both. Some servers spread a call's usage over
// several chunks, and repeat others of its figures as 0.
func (c *counts) raise(o *counts) {
	c.total = max(c.total, o.total)
	c.prompt, c.completion = max(c.prompt, o.prompt), max(c.completion, o.completion)
	c.input, c.output = max(c.input, o.input), max(c.output, o.output)
	c.cached = max(c.cached, o.cached)
	c.seconds = max(c.seconds, o.seconds)
}

// usage normalises what was read, to the larger reading where figures contradict each
// other: a total beside a prompt of 0 contains the prompt, and one above the sum of its
// parts has output that was not shown, as Gemini's reasoning. An object that adds up to
// nothing does not count as usage, since no call is free and servers that do not count send
// zeros. Audio billed by its length does: it costs no tokens.
//
// Anthropic states what it has written to its cache beside the input, and no total. It counts
// toward its limits, and what was read from the cache does not.
func (c *counts) usage() (Usage, bool) {
	input := c.input
	if c.total == 0 {
		input += c.cached
	}
	u := Usage{
		Input:  max(c.prompt, input),
		Output: max(c.completion, c.output),
	}
	u.Total = max(c.total, u.Input+u.Output)
	switch unnamed := u.Total - u.Input - u.Output; {
	case u.Input > 0:
		u.Output += unnamed
	case u.Output > 0:
		u.Input = unnamed
	}
	return u, u.Total > 0 || c.seconds > 0
}
