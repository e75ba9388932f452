package costing

import "slices"

// AskForUsage returns a chat's or a completion's body that asks for the usage of its stream:
// with stream_options.include_usage where nothing is said of it, and otherwise as it was,
// byte for byte. ok is false where the body says so already, or says that it does not want
// it, or can't be read.
func AskForUsage(body []byte) (asking []byte, ok bool) {
	const (
		member  = `"include_usage":true`
		options = `{` + member + `}`
	)
	c := newCursor(body)
	if c.peek() != '{' {
		return body, false
	}
	c.enter('{')
	open := c.pos
	from, to, in := open, open, `"stream_options":`+options
	if c.peek() != '}' {
		in += ","
	}
	for key, more := c.key(); more; key, more = c.key() {
		if string(key) != "stream_options" {
			c.skip()
			continue
		}
		kind := c.peek()
		from = c.pos
		value := c.raw() // of several the last counts
		to = c.pos
		switch {
		case string(value) == "null":
			in = options
		case kind != '{':
			in = ""
		default:
			from, to, in = includeUsage(body, from, member)
		}
	}
	if c.fault || in == "" {
		return body, false
	}
	return slices.Concat(body[:from], []byte(in), body[to:]), true
}

// includeUsage returns what to put in place of body[from:to] so that the object at start
// includes the usage; nothing if it says of it what it wants.
func includeUsage(body []byte, start int, member string) (from, to int, in string) {
	c := cursor{buf: body, pos: start}
	c.enter('{')
	from, to, in = c.pos, c.pos, member
	if c.peek() != '}' {
		in += ","
	}
	for key, more := c.key(); more; key, more = c.key() {
		if string(key) != "include_usage" {
			c.skip()
			continue
		}
		c.peek()
		at := c.pos
		if string(c.raw()) == "null" {
			from, to, in = at, c.pos, "true"
		} else {
			from, to, in = at, at, ""
		}
	}
	return from, to, in
}
