package wire

// Usage is what a response says its call used.
type Usage struct {
	// Input and Output are tokens; 0 where the server does not tell them apart.
	Input, Output int64
	// Total is total_tokens, or Input + Output where that is absent. Cached
	// tokens are included: they count toward the limits ("caching does not
	// affect rate limits", OpenAI's prompt-caching guide).
	Total int64
}

// counts holds the members of a usage object as they are read; 0 is absent. Both
// names of a count are kept apart, for some proxies send both and fill in one.
type counts struct {
	total, prompt, completion, input, output int64
	seconds                                  float64
}

// usage normalises what was read. An object that adds up to nothing does not count as
// usage, since no call is free and servers that do not count send zeros. Audio billed by
// its length does: it costs no tokens.
func (c *counts) usage() (Usage, bool) {
	u := Usage{
		Input:  max(c.prompt, c.input),
		Output: max(c.completion, c.output),
		Total:  c.total,
	}
	if u.Total == 0 {
		u.Total = u.Input + u.Output
	}
	return u, u.Total > 0 || c.seconds > 0
}
