package wire

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A scanner reads one JSON object as it arrives, in pieces cut anywhere, and
// picks out the few members a rate limiter cares about. It does not validate:
// on malformed input it finds less, or nothing. It keeps one small buffer for
// the value it is in the middle of; everything else is skipped in place.
type scanner struct {
	buf       [bufferSize]byte
	holes     holes // of the object, if it comes in one piece
	id, model name
	scanning
}

// scanning is what a scanner knows beside the large fields, of which the lengths tell what counts.
type scanning struct {
	// text receives the decoded text of deltas; it may be nil.
	text func([]byte)
	// stream: the object is an event of a stream, so deltas have text.
	stream bool
	// failed: the response is an error, so that any part of it may say how long to wait.
	failed bool

	state   state
	value   node           // the value being read, or about to be
	stack   [maxDepth]node // the containers around it
	depth   int
	nesting int  // of containers within a skipped value
	escaped bool // the next byte of a skipped string is escaped

	escape  int  // of a decoded string: bytes read of \uXXXX
	code    rune // what these said so far
	high    rune // a surrogate that waits for its other half
	n       int  // bytes in buf
	clipped bool // more did not fit

	// Found in the object being read.
	event     event
	fault     fault
	violation violation
	span      node    // whose value is an object of seconds and nanoseconds
	seconds   float64 // of that
	tally     counts
	// Found so far.
	shown    bool   // a part of the output
	sum      counts // the largest figures of all usage objects
	usage    Usage
	hasUsage bool
	names    int // how often a name has changed
}

// reset makes the scanner a new one.
func (s *scanner) reset() {
	s.scanning = scanning{}
	s.holes.n, s.id.length, s.model.length = 0, 0, 0
}

const (
	// maxDepth is that of choices[].delta.content[].thinking[], the deepest node.
	maxDepth = 8
	// bufferSize bounds what is kept of a message, and each piece of delta text.
	bufferSize = 1024
	// maxID is the length of the longest id that is kept: OpenAI's have 55 bytes,
	// proxies put more into theirs.
	maxID = 256
)

// A name is one that is kept in place: of at most maxID bytes, else empty.
type name struct {
	bytes  [maxID]byte
	length int
}

// set reports whether the name has changed.
func (n *name) set(b []byte, whole bool) (changed bool) {
	if !whole || len(b) > maxID {
		b = nil
	}
	if string(b) == string(n.bytes[:n.length]) {
		return false
	}
	n.length = copy(n.bytes[:], b)
	return true
}

func (n *name) String() string { return string(n.bytes[:n.length]) }

// fault is an error object, or an event that carries its members. Of several the first that
// says something counts.
type fault struct {
	seen               bool // it says something, which an "error": {} in a regular chunk does not
	message, typ, code string
	hint               string // a code by another name, for what the error itself does not say
	raw                string // what a gateway was told
	wait               string // a duration, or seconds
	violation                 // of Google's QuotaFailure
	detailed           bool   // Google's details say that it is about a rate
	named              bool   // its "error" is a string, so that the root's members are its own
}

// conclude takes the root's own members for an error where their code is that of one:
// {"code":429,"message":"…"} and {"code":"rate_limit_daily","message":"…"} come with any status.
func (f *fault) conclude() {
	code := cmp.Or(f.code, f.hint)
	n, ok := parseCount(code)
	if f.message != "" && (ok && 400 <= n && n < 600 || kindOf(code) != Other) {
		f.seen = true
	}
}

// violation is what an element of a QuotaFailure's violations names.
type violation struct{ quotaID, quotaValue string }

// add takes in a violation: the first, unless a later one is a day's.
func (f *fault) add(v violation) {
	f.seen, f.detailed = true, true
	_, was := subjectOf(f.quotaID)
	if _, period := subjectOf(v.quotaID); f.violation == (violation{}) || period > was {
		f.violation = v
	}
}

// empty reports whether the fault says nothing.
func (f *fault) empty() bool {
	return f.message == "" && f.typ == "" && f.code == "" && f.hint == "" && !f.detailed && f.wait == ""
}

type state uint8

const (
	idle          state = iota // before or after the object
	inObject                   // before a key or the end
	inKey                      // in the string that is a key
	afterKey                   // before the colon
	beforeValue                // before a member's or an element's value
	inArray                    // before an element or the end
	inText                     // in a string that is decoded
	inSkippedText              // in a string that is not
	inLiteral                  // in a number, true, false or null
	inSkipped                  // in a container that is not read
)

// A node is a place in the documents that are understood.
type node uint8

const (
	ignored node = iota
	keyNode

	// objects
	rootNode
	responseNode
	groqNode
	usageNode
	errorNode
	baseNode
	metadataNode
	headersNode
	anyNode // of another name, in an error
	dataNode
	detailNode
	violationNode
	spanNode
	choiceNode
	deltaNode
	toolCallNode
	mediaNode
	functionNode

	// arrays
	choicesNode
	toolCallsNode
	partsNode
	mediaListNode
	errorsNode
	detailsNode
	violationsNode

	// strings
	eventNode
	deltaTextNode
	messageNode
	rawNode
	typeNode
	codeNode
	rootMessageNode
	rootDetailNode
	reasonNode
	rootCodeNode
	statusNode
	hintNode
	rootHintNode
	waitNode
	waitMSNode
	rootWaitNode
	rootWaitMSNode
	quotaIDNode
	quotaValueNode
	delayNode
	objectNode
	idNode
	modelNode

	// numbers
	totalNode
	promptNode
	completionNode
	inputNode
	outputNode
	cachedNode
	secondsNode
	spanSecondsNode
	spanNanosNode
)

func (n node) isObject() bool { return rootNode <= n && n <= functionNode }
func (n node) isArray() bool  { return choicesNode <= n && n <= violationsNode }
func (n node) isString() bool { return eventNode <= n && n <= modelNode }
func (n node) isWait() bool   { return waitNode <= n && n <= rootWaitMSNode }
func (n node) isNumber() bool { return totalNode <= n && n <= spanNanosNode }

// member returns the node of an object's member by its name, or ignored if nobody needs it.
func (s *scanner) member(parent node, name []byte) node {
	switch parent {
	case rootNode:
		switch string(name) {
		case "usage", "usageMetadata": // Gemini's own surface
			return usageNode
		case "error":
			return errorNode
		case "errors": // Cloudflare's
			return errorsNode
		case "base_resp": // MiniMax's, in each of its responses
			return baseNode
		case "response":
			return responseNode
		case "type":
			return eventNode
		case "x_groq":
			return groqNode
		case "message", "msg", "Message", "error_msg", "error_message", "errorMessage", "error_description":
			return rootMessageNode
		case "detail":
			return rootDetailNode
		case "code":
			return rootCodeNode
		case "error_type", "error_code", "errorType", "errorCode", "__type": // the last is AWS's
			return rootHintNode
		case "estimated_time":
			return rootWaitNode
		case "object":
			return objectNode
		case "model":
			return modelNode
		case "id":
			if !s.stream { // an event's own id is not the response's
				return idNode
			}
		case "choices":
			return choicesNode
		case "delta":
			// It is a string in events of Responses and transcripts, and an object in Anthropic's.
			if s.stream && s.event != audioDelta {
				return deltaTextNode
			}
		}
		if s.failed {
			switch string(name) {
			case "fault": // Apigee's
				return errorNode
			case "reason":
				return reasonNode
			case "data":
				return dataNode
			}
		}
		return waitOf(name, rootWaitNode, rootWaitMSNode)
	case responseNode:
		switch string(name) {
		case "id":
			return idNode
		case "model":
			return modelNode
		case "usage":
			return usageNode
		case "error":
			return errorNode
		}
	case groqNode: // Groq's streams have their usage and their errors in it
		switch string(name) {
		case "usage":
			return usageNode
		case "error":
			return errorNode
		}
	case usageNode:
		switch string(name) {
		case "total_tokens", "totalTokens", "totalTokenCount":
			return totalNode
		case "prompt_tokens", "promptTokens", "promptTokenCount":
			return promptNode
		case "completion_tokens", "completionTokens", "candidatesTokenCount":
			return completionNode
		case "input_tokens", "inputTokens":
			return inputNode
		case "output_tokens", "outputTokens":
			return outputNode
		case "cache_creation_input_tokens":
			return cachedNode
		case "seconds":
			return secondsNode
		}
	case errorNode:
		switch string(name) {
		case "message":
			return messageNode
		case "type":
			return typeNode
		case "code":
			return codeNode
		case "status", "statusCode", "status_code":
			return statusNode
		case "error_type", "error_code", "errorType", "errorCode":
			return hintNode
		case "details":
			return detailsNode
		case "metadata", "data":
			return metadataNode
		case "headers":
			return headersNode
		case "msg", "description", "detail", "error_message", "faultstring":
			return rootMessageNode
		case "error": // the server's, in a gateway's
			return errorNode
		}
		return waitOf(name, waitNode, waitMSNode)
	case baseNode:
		switch string(name) {
		case "status_code":
			return codeNode
		case "status_msg":
			return rootMessageNode
		}
	case metadataNode:
		switch string(name) {
		case "raw": // what OpenRouter got from the provider
			return rawNode
		case "headers": // those of OpenRouter's own limits
			return headersNode
		case "error_type", "error_code", "errorType", "errorCode": // OpenRouter's, Anthropic's
			return hintNode
		}
		return waitOf(name, waitNode, waitMSNode)
	case headersNode:
		switch string(bytes.ToLower(name)) {
		case "x-ratelimit-reset", "retry-after":
			return waitNode
		}
	case anyNode, dataNode:
		if parent == dataNode && (string(name) == "message" || string(name) == "msg") {
			return reasonNode
		}
		if bytes.EqualFold(name[:min(len(name), len("retry"))], []byte("retry")) {
			return waitOf(name, rootWaitNode, rootWaitMSNode)
		}
	case detailNode:
		switch string(name) {
		case "violations":
			return violationsNode
		case "retryDelay", "retry_delay":
			return delayNode
		}
		return waitOf(name, waitNode, waitMSNode)
	case violationNode:
		switch string(name) {
		case "quotaId":
			return quotaIDNode
		case "quotaValue":
			return quotaValueNode
		}
	case spanNode:
		switch string(name) {
		case "seconds":
			return spanSecondsNode
		case "nanos":
			return spanNanosNode
		}
	case choiceNode:
		if string(name) == "error" { // OpenRouter's, of a provider that failed
			return errorNode
		}
		if !s.stream {
			return ignored
		}
		switch string(name) {
		case "usage": // Moonshot's streams have it here
			return usageNode
		case "text":
			return deltaTextNode
		case "delta":
			return deltaNode
		}
	case deltaNode:
		switch string(name) {
		case "content", "refusal", "reasoning_content", "reasoning", "reasoning_text",
			"text", "thinking", "partial_json": // Anthropic's
			return deltaTextNode
		case "tool_calls":
			return toolCallsNode
		case "function_call":
			return functionNode
		case "audio":
			return mediaNode
		case "images", "reasoning_details": // the latter's text stands in reasoning, too
			return mediaListNode
		}
	case toolCallNode:
		switch string(name) {
		case "function", "custom":
			return functionNode
		}
	case functionNode:
		switch string(name) {
		case "name", "arguments", "input":
			return deltaTextNode
		}
	}
	return ignored
}

// waitOf returns which of two nodes a member is, if it says how long to wait, or until when.
func waitOf(name []byte, seconds, milliseconds node) node {
	var buf [len("retryaftermilliseconds")]byte // for the name as [spelt] has it
	n := 0
	for _, c := range name {
		if c == '_' || c == '-' {
			continue
		}
		if n == len(buf) {
			return ignored
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf[n] = c
		n++
	}
	plain, unit := buf[:n], seconds
	for _, u := range waitUnits {
		if before, ok := bytes.CutSuffix(plain, u.suffix); ok {
			if u.milli {
				unit = milliseconds
			}
			plain = before
			break
		}
	}
	switch string(plain) {
	case "reset":
		if len(plain) < n { // else it may be a moment
			return unit
		}
	case "retryafter", "retryin", "retrydelay", "resetsin", "resetin", "resetafter",
		"wait", "waitfor", "waittime", "cooldown", "backoff":
		return unit
	case "retryat", "nextretryat", "resetsat", "resetat", "resettime", "resettimestamp", "nextavailableat", "availableat":
		return seconds // a moment says its unit itself
	}
	return ignored
}

// waitUnits are what may end such a member's name, the longest first.
var waitUnits = [...]struct {
	suffix []byte
	milli  bool
}{
	{[]byte("milliseconds"), true}, {[]byte("millis"), true}, {[]byte("ms"), true},
	{[]byte("seconds"), false}, {[]byte("secs"), false}, {[]byte("sec"), false}, {[]byte("s"), false},
}

// begin prepares for the next object. What was found so far stays.
func (s *scanner) begin() {
	s.state, s.value, s.depth, s.nesting = beforeValue, rootNode, 0, 0
	s.event, s.fault = plain, fault{}
	s.holes.n = 0
}

// scan reads p up to the end of the object, where the state becomes idle, and returns how
// much of it that was.
func (s *scanner) scan(p []byte) (i int) {
	for i < len(p) && s.state != idle {
		switch s.state {
		case inObject:
			switch p[i] {
			case '"':
				s.take(keyNode, inKey)
			case '}':
				s.pop()
			}
			i++
		case afterKey:
			if p[i] == ':' {
				s.state = beforeValue
			}
			i++
		case inArray:
			switch p[i] {
			case ' ', '\t', '\r', '\n', ',':
				i++
			case ']', '}':
				s.pop()
				i++
			default:
				s.value = ignored
				switch s.stack[s.depth-1] {
				case choicesNode:
					s.value = choiceNode
				case errorsNode:
					s.value = errorNode
				case toolCallsNode:
					s.value = toolCallNode
				case partsNode:
					s.value = deltaNode
				case mediaListNode:
					s.value = mediaNode
				case detailsNode:
					s.value = detailNode
				case violationsNode:
					s.value = violationNode
				}
				s.state = beforeValue
			}
		case beforeValue:
			switch c := p[i]; c {
			case ' ', '\t', '\r', '\n':
				i++
			case '"':
				if s.value.isString() || s.value.isNumber() || s.value == errorNode {
					s.take(s.value, inText)
				} else {
					s.state, s.escaped = inSkippedText, false
				}
				i++
			case '{', '[':
				s.open(c)
				i++
			case '}', ']', ',':
				s.next() // malformed: no value
			default:
				s.take(s.value, inLiteral)
			}
		case inKey, inText:
			isDelta := s.state == inText && s.value == deltaTextNode
			n := s.decode(p[i:])
			if isDelta && s.state != inText {
				s.holes.add(textHole, i, i+n-1)
			}
			i += n
		case inSkippedText:
			n, closed := s.pass(p[i:])
			if closed {
				s.holes.add(stringHole, i, i+n-1)
				s.next()
			}
			i += n
		case inLiteral:
			n := 0
			for i+n < len(p) && class[p[i+n]]&delimiter == 0 {
				n++
			}
			b := p[i : i+n]
			if s.value == ignored {
				s.holes.add(numberHole, i, i+n)
			} else if s.n > 0 || n > bufferSize || i+n == len(p) { // else it is in one piece
				s.put(b)
				b = s.buf[:s.n]
			}
			i += n
			if i < len(p) {
				s.literal(b)
				s.next()
			}
		case inSkipped:
			for i < len(p) && class[p[i]]&structure == 0 {
				i++
			}
			if i == len(p) {
				break
			}
			switch p[i] {
			case '"':
				s.state, s.escaped = inSkippedText, false
			case '{', '[':
				s.nesting++
			default:
				if s.nesting--; s.nesting == 0 {
					s.next()
				}
			}
			i++
		}
	}
	return i
}

const (
	structure = 1 << iota // of what is skipped
	delimiter             // after a literal
	special               // in a string of an event's line, other than what stands for itself
)

var class = func() (t [256]uint8) {
	for _, c := range []byte(`"{}[]`) {
		t[c] |= structure
	}
	for _, c := range []byte(",}] \t\r\n") {
		t[c] |= delimiter
	}
	for _, c := range []byte("\"\\\n") {
		t[c] |= special
	}
	return t
}()

// take starts to collect v's bytes.
func (s *scanner) take(v node, st state) {
	s.value, s.state = v, st
	s.n, s.clipped = 0, false
	s.escape, s.high = 0, 0
}

// open enters a container, or starts to skip it where it is not what is expected.
func (s *scanner) open(c byte) {
	switch {
	case s.value == errorNode && c == '[':
		s.value = errorsNode
	case s.value == errorsNode && c == '{':
		s.value = errorNode
	case s.value == ignored && s.failed && c == '{':
		s.value = anyNode
	case (s.value == delayNode || s.value == waitNode || s.value == rootWaitNode) && c == '{': // as protobuf has it
		s.span, s.seconds = s.value, 0
		s.value = spanNode
	case s.value == detailsNode && c == '{':
		s.value = metadataNode
	case s.value == rootDetailNode: // FastAPI's, with what the server says inside
		s.value = errorNode
	case s.value == rootMessageNode && s.depth == 1 && c == '{': // Anthropic's, as a response
		s.value = responseNode
	case s.value == deltaTextNode && s.depth == 1:
		s.value = deltaNode
	case s.value == deltaTextNode && c == '[': // Mistral's, of text and of thinking
		s.value = partsNode
	}
	another := s.value == errorNode && s.fault.seen && !s.fault.named && s.stack[s.depth-1] != errorNode
	if c == '{' && !s.value.isObject() || c == '[' && !s.value.isArray() || s.depth == maxDepth || another {
		s.state, s.nesting = inSkipped, 1
		return
	}
	switch s.value {
	case usageNode:
		s.tally = counts{}
	case errorNode:
		s.fault.named = false
	case mediaNode:
		s.shown = true
	case violationNode:
		s.violation = violation{}
	}
	s.stack[s.depth] = s.value
	s.depth++
	s.next()
}

// pop leaves a container that was entered.
func (s *scanner) pop() {
	s.depth--
	switch s.stack[s.depth] {
	case usageNode:
		s.sum.raise(&s.tally)
		if u, ok := s.sum.usage(); ok {
			s.usage, s.hasUsage = u, true
		}
	case violationNode:
		s.fault.add(s.violation)
	case spanNode:
		s.fault.set(s.span, strconv.FormatFloat(s.seconds, 'f', -1, 64))
	}
	s.next()
}

// next goes on after a value, or after the opening of a container.
func (s *scanner) next() {
	switch {
	case s.nesting > 0:
		s.state = inSkipped
	case s.depth == 0:
		s.state = idle
	case s.stack[s.depth-1].isArray():
		s.state = inArray
	default:
		s.state = inObject
	}
}

// pass skips the rest of a string, wherever its escapes were cut.
func (s *scanner) pass(p []byte) (n int, closed bool) {
	i := 0
	if s.escaped {
		s.escaped = false
		i = 1
	}
	for {
		quote := bytes.IndexByte(p[i:], '"')
		end := i + quote
		if quote < 0 {
			end = len(p)
		}
		j := end
		for j > i && p[j-1] == '\\' {
			j--
		}
		odd := (end-j)%2 != 0
		switch {
		case quote < 0:
			s.escaped = odd
			return len(p), false
		case !odd:
			return end + 1, true
		}
		i = end + 1
	}
}

// decode collects a string into buf, its escapes resolved as encoding/json does.
func (s *scanner) decode(p []byte) int {
	for i := 0; i < len(p); {
		switch s.escape {
		case 0:
			j := i
			for j < len(p) && p[j] != '"' && p[j] != '\\' {
				j++
			}
			if j < len(p) && p[j] == '"' && j-i <= bufferSize && s.n == 0 && s.high == 0 {
				s.str(p[i:j]) // it is in one piece
				return j + 1
			}
			if j > i {
				s.lone()
				s.put(p[i:j])
			}
			if j == len(p) {
				return j
			}
			i = j + 1
			if p[j] == '"' {
				s.lone()
				s.str(s.buf[:s.n])
				return i
			}
			s.escape = 1
		case 1:
			c := p[i]
			i++
			if c == 'u' {
				s.escape, s.code = 2, 0
				continue
			}
			switch c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			}
			s.escape = 0
			s.lone()
			s.put([]byte{c})
		default:
			d, ok := hex(p[i])
			if !ok { // malformed; the byte may well be the closing quote
				s.escape = 0
				s.lone()
				s.rune(utf8.RuneError)
				continue
			}
			i++
			s.code = s.code<<4 | d
			if s.escape++; s.escape == 6 {
				s.escape = 0
				s.unit(s.code)
			}
		}
	}
	return len(p)
}

// unit appends a UTF-16 code unit.
func (s *scanner) unit(u rune) {
	high := s.high
	if high != 0 && 0xDC00 <= u && u <= 0xDFFF {
		s.high = 0
		s.rune((high-0xD800)<<10 | (u - 0xDC00) + 0x10000)
		return
	}
	s.lone()
	if 0xD800 <= u && u <= 0xDBFF {
		s.high = u
		return
	}
	s.rune(u) // a lone low half becomes U+FFFD
}

// lone gives up on the other half of a surrogate.
func (s *scanner) lone() {
	if s.high != 0 {
		s.high = 0
		s.rune(utf8.RuneError)
	}
}

func (s *scanner) rune(r rune) {
	var b [utf8.UTFMax]byte
	s.put(b[:utf8.EncodeRune(b[:], r)])
}

// put appends to buf. Delta text that does not fit is handed on in pieces that
// end where a character does; anything else is clipped.
func (s *scanner) put(p []byte) {
	for {
		n := copy(s.buf[s.n:], p)
		s.n += n
		if p = p[n:]; len(p) == 0 {
			return
		}
		if s.value != deltaTextNode {
			s.clipped = true
			return
		}
		whole := wholeRunes(s.buf[:s.n])
		s.say(s.buf[:whole])
		s.n = copy(s.buf[:], s.buf[whole:s.n])
	}
}

// wholeRunes returns the length of b without a character cut at its end.
func wholeRunes(b []byte) int {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				break
			}
			return i
		}
	}
	return len(b)
}

// say hands on a piece of a delta.
func (s *scanner) say(text []byte) {
	s.shown = true
	if s.text != nil {
		s.text(text)
	}
}

// str ends a string, which is b, decoded, as far as it fits.
func (s *scanner) str(b []byte) {
	if s.value == keyNode {
		s.value = ignored
		if !s.clipped {
			s.value = s.member(s.stack[s.depth-1], b)
		}
		s.state = afterKey
		return
	}
	switch s.value {
	case totalNode, promptNode, completionNode, inputNode, outputNode, cachedNode, secondsNode, spanSecondsNode, spanNanosNode: // in quotes
		s.literal(b)
	case deltaTextNode:
		if len(b) > 0 {
			s.say(b)
		}
	case objectNode:
		if string(b) == "error" { // Mistral's, whose members are the root's
			s.fault.seen, s.fault.named = true, true
		}
	case eventNode:
		s.event = eventOf(b)
	case idNode:
		s.named(&s.id, b)
	case modelNode:
		s.named(&s.model, b)
	case quotaIDNode:
		s.violation.quotaID = kept(b, !s.clipped)
	case quotaValueNode:
		s.violation.quotaValue = kept(b, !s.clipped)
	case errorNode: // "error": "..." instead of an object
		if len(b) > 0 {
			s.fault.name(kept(b, !s.clipped), s.depth == 1)
		}
	default:
		s.fault.set(s.value, kept(b, !s.clipped))
	}
	s.next()
}

func (s *scanner) named(n *name, b []byte) {
	if n.set(b, !s.clipped) {
		s.names++
	}
}

// kept returns b's contents. Where more belongs to it the last word goes too,
// lest half a number be read as a whole one.
func kept(b []byte, whole bool) string {
	if !whole {
		b = b[:max(bytes.LastIndexByte(b, ' '), 0)]
	}
	return string(b)
}

// name notes an "error" that is a string: often a title only, beside the root's message.
func (f *fault) name(title string, root bool) {
	f.named = f.named || root && !f.seen
	f.seen = true
	if f.message == "" {
		f.message = title
	}
}

// set notes a member of an error. The root's own members only stand in for what an error
// object does not say.
func (f *fault) set(v node, to string) {
	if to == "" || to == "0" || v.isWait() && !strings.ContainsAny(to, "0123456789") { // "backoff": "exponential"
		return
	}
	stands := !f.seen || f.named
	switch v {
	case rootMessageNode, rootDetailNode:
		if stands || f.message == "" {
			f.message = to
		}
		return
	case reasonNode: // it may be a word only, beside a message
		if f.message == "" {
			f.message = to
		}
		return
	case rootCodeNode:
		if stands || f.code == "" {
			f.code = to
		}
		return
	case rootHintNode:
		if f.hint == "" {
			f.hint = to
		}
		return
	case rootWaitMSNode, rootWaitNode:
		if v == rootWaitMSNode {
			to = inMS(to)
		}
		if f.wait == "" { // else the error says it itself
			f.wait = to
		}
		return
	case messageNode:
		f.message = to
	case rawNode:
		f.raw = to
	case typeNode:
		f.typ = to
	case codeNode:
		f.code = to
	case hintNode:
		f.hint = to
	case statusNode: // Google's name for a type
		if f.typ == "" {
			f.typ = to
		}
	case waitNode:
		f.wait = to
	case waitMSNode:
		f.wait = inMS(to)
	case delayNode:
		f.wait, f.detailed = to, true
	}
	f.seen = true
}

// literal ends a number, true, false or null, which is b.
func (s *scanner) literal(b []byte) {
	if s.value == ignored || s.clipped {
		return
	}
	switch s.value {
	case totalNode:
		number(&s.tally.total, b)
	case promptNode:
		number(&s.tally.prompt, b)
	case completionNode:
		number(&s.tally.completion, b)
	case inputNode:
		number(&s.tally.input, b)
	case outputNode:
		number(&s.tally.output, b)
	case cachedNode:
		number(&s.tally.cached, b)
	case secondsNode:
		if f, ok := parseNumber(string(b)); ok {
			s.tally.seconds = f
		}
	case spanSecondsNode:
		if f, ok := positive(string(b)); ok {
			s.seconds += f
		}
	case spanNanosNode:
		if f, ok := positive(string(b)); ok {
			s.seconds += f / 1e9
		}
	case statusNode: // a gateway's, of what it has called
		if f, ok := parseNumber(string(b)); ok && 400 <= f && f < 600 && s.fault.code == "" {
			s.fault.set(codeNode, strconv.Itoa(int(f)))
		}
	case quotaValueNode:
		s.violation.quotaValue = string(b)
	case codeNode, rootCodeNode, delayNode, waitNode, waitMSNode, rootWaitNode, rootWaitMSNode: // Azure's code may be a number
		if f, ok := positive(string(b)); ok {
			s.fault.set(s.value, strconv.FormatFloat(f, 'f', -1, 64)) // 1.5e3 as 1500
		}
	}
}

func number(n *int64, b []byte) {
	if f, ok := parseNumber(string(b)); ok {
		*n = int64(f)
	}
}

func hex(c byte) (rune, bool) {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0'), true
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}
