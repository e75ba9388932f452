package wire

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// A Meter watches a response body go by, without altering, delaying or buffering it. It
// finds what the body says about the call: its usage, an error, the deltas of a stream,
// and the point after which nothing more comes. It reads JSON objects and server-sent
// events, and distinguishes them by their first byte, since test doubles and proxies
// mislabel both.
//
// Its memory does not grow with the body, and its results do not depend on how the body
// is cut. Write does not allocate unless there is an error to report.
// A Meter is for one goroutine at a time.
type Meter struct {
	scanner scanner
	shape   shape // of a stream's events
	metering
}

// metering is what a meter knows beside that.
type metering struct {
	status int
	mode   mode
	line   line
	named  event // what the "event:" line said
	field  [32]byte
	n      int // bytes of field, or matched of [DONE]
	done   bool
	ended  bool
	list   bool // the objects of an error stand in an array
	fault  fault
}

// mode is how the body is read.
type mode uint8

const (
	unread mode = iota
	undecided
	asObject
	asEvents
)

// line is a place in a line of an event stream.
type line uint8

const (
	fieldName  line = iota
	eventValue      // after "event:"
	dataStart       // after "data:", before its value
	dataObject      // in a JSON object
	dataMark        // in what may be [DONE]
	dataText        // in the text of an error event
	rest            // in what is of no interest
)

var doneMark = []byte("[DONE]")

// An event is what a stream's event means to a meter.
type event uint8

const (
	plain      event = iota
	terminal         // the stream is over
	stopped          // as terminal, unless it leaves open why: an error may follow
	completed        // one of perhaps several results is there
	failed           // the stream is over, by an error
	audioDelta       // its delta is base64, not text
	imagePart        // a part of the output that is no text either
)

// eventOf knows the events by the "type" in their data (OpenAI's openapi.yaml).
// A completed image ends nothing: with n > 1 each has its own.
func eventOf(typ []byte) event {
	switch string(typ) {
	case "response.completed", "response.incomplete", "transcript.text.done", "speech.audio.done",
		"response.done", // the Realtime API's, which relays send here too
		"message_stop":  // Anthropic's
		return terminal
	case "response.failed":
		return stopped
	case "image_generation.completed", "image_edit.completed":
		return completed
	case "error", "response.error":
		return failed
	case "response.audio.delta", "speech.audio.delta":
		return audioDelta
	case "image_generation.partial_image", "image_edit.partial_image",
		"response.image_generation_call.partial_image":
		return imagePart
	}
	return plain
}

// NewMeter returns a meter for the body of a response with this status and content type.
// Bodies that cannot be text (audio, images) pass unread. The function text, if not nil,
// receives the decoded text of each delta of a stream (content, refusal, reasoning, names
// and arguments of tools), in pieces of at most 1 KiB. Its argument is only valid during
// the call.
func NewMeter(status int, contentType string, text func([]byte)) *Meter {
	m := new(Meter)
	m.Reset(status, contentType, text)
	return m
}

// Reset makes the meter a new one, for another body.
func (m *Meter) Reset(status int, contentType string, text func([]byte)) {
	m.metering = metering{status: status}
	m.scanner.reset()
	m.shape.length, m.shape.n = 0, 0
	m.scanner.text, m.scanner.failed = text, status >= 400
	if readable(contentType) {
		m.mode = undecided
	}
}

func readable(contentType string) bool {
	typ, _, _ := strings.Cut(contentType, ";")
	typ = strings.TrimSpace(typ)
	top, sub, _ := strings.Cut(typ, "/")
	return typ == "" || strings.EqualFold(top, "text") ||
		len(sub) >= 4 && strings.EqualFold(sub[len(sub)-4:], "json")
}

// Write reads the next bytes of the body. done means that nothing more comes: the JSON
// object has ended, or the stream has sent [DONE], its terminal event, an error event, or
// before any output an error about limits. It stays true. A stream without such a mark ends
// at EOF; one with an error among its chunks may go on.
func (m *Meter) Write(p []byte) (done bool) {
	if m.mode == undecided {
		p = m.sniff(p)
	}
	switch m.mode {
	case asObject:
		m.objects(p)
	case asEvents:
		m.events(p)
	}
	return m.done
}

// sniff decides between a document and events.
func (m *Meter) sniff(p []byte) []byte {
	for i, c := range p {
		switch c {
		case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF: // space, byte order mark
		case '[': // Gemini's errors come in an array
			m.list = m.status >= 400
		case '{':
			m.mode = asObject
			m.scanner.begin()
			return p[i:]
		default:
			m.mode = asEvents
			m.scanner.stream = true
			return p[i:]
		}
	}
	return nil
}

// objects reads the object, or those of an error's array up to its end.
func (m *Meter) objects(p []byte) {
	s := &m.scanner
	for len(p) > 0 && !m.done {
		if s.state == idle {
			i := bytes.IndexAny(p, "{]")
			if i < 0 {
				return
			}
			if p[i] == ']' {
				m.done, m.ended = true, true
				return
			}
			s.begin()
			p = p[i:]
		}
		p = p[s.scan(p):]
		if s.state == idle {
			s.fault.conclude()
			m.choose(&s.fault)
			m.done, m.ended = !m.list, !m.list
		}
	}
}

// choose keeps the first error that says something, unless a later one alone says how long to wait.
func (m *Meter) choose(f *fault) {
	waits := func(f *fault) bool { return newThrottle(m.status, nil, *f, time.Time{}).RetryAfter > 0 }
	if m.fault.empty() || waits(f) && !waits(&m.fault) {
		m.fault = *f
	}
}

// events reads lines of an event stream. Lines end in \n, as in both Go SDKs; a \r
// before it is space. It joins the data lines of an event, as the specification does,
// but a complete object on one line counts at once, since go-openai reads line by line.
func (m *Meter) events(p []byte) {
	for len(p) > 0 && !m.done {
		if m.line == fieldName {
			p = m.name(p)
			if m.line == dataStart {
				p = m.alike(p)
			}
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			m.content(p)
			return
		}
		m.content(p[:end])
		switch m.line {
		case eventValue:
			m.named = eventOf(bytes.TrimSpace(m.field[:m.n]))
		case dataText:
			s := &m.scanner
			s.fault = fault{message: strings.Trim(kept(s.buf[:s.n], !s.clipped), " \t\r\"")}
			m.dispatch()
		}
		m.line, m.n = fieldName, 0
		p = p[end+1:]
	}
}

// alike reads an event of the shape of the one before, if that follows.
func (m *Meter) alike(p []byte) []byte {
	h, s := &m.shape, &m.scanner
	if s.state != idle || s.names != h.names {
		return p
	}
	at := 0
	if len(p) > 0 && p[0] == ' ' {
		at = 1
	}
	var texts [maxHoles]hole
	length, n := h.match(p[at:], &texts)
	if length == 0 {
		return p
	}
	s.begin()
	s.state, s.event = idle, h.event
	p = p[at:]
	for _, t := range texts[:n] {
		s.say(p[t.from:t.to])
	}
	m.line = rest
	m.dispatch()
	return p[length:]
}

// name reads the beginning of a line, up to its colon.
func (m *Meter) name(p []byte) []byte {
	if m.n == 0 && bytes.HasPrefix(p, []byte("data:")) {
		m.line = dataStart
		return p[len("data:"):]
	}
	for i, c := range p {
		switch c {
		case '\n':
			if m.n == 0 { // a blank line ends the event
				m.scanner.state = idle
				m.named = plain
				return p[i+1:]
			}
			m.n = 0
		case '\r':
		case ':':
			switch string(m.field[:m.n]) {
			case "data":
				m.line = dataStart
			case "event":
				m.line = eventValue
			default:
				m.line = rest
			}
			m.n = 0
			return p[i+1:]
		default:
			m.collect(p[i : i+1])
		}
	}
	return nil
}

func (m *Meter) collect(p []byte) {
	m.n += copy(m.field[m.n:], p)
}

// content reads what follows the colon, without the end of the line.
func (m *Meter) content(p []byte) {
	if m.line == dataStart {
		for len(p) > 0 && (p[0] == ' ' || p[0] == '\t' || p[0] == '\r') {
			p = p[1:]
		}
		if len(p) == 0 {
			return
		}
		switch {
		case m.scanner.state != idle: // a value that began on an earlier line
			m.line = dataObject
		case p[0] == '{':
			m.scanner.begin()
			m.line = dataObject
		case p[0] == '[':
			m.line = dataMark
		case m.named == failed: // its data is text
			m.scanner.begin()
			m.scanner.take(messageNode, idle)
			m.line = dataText
		default:
			m.line = rest
		}
	}
	switch m.line {
	case eventValue:
		m.collect(p)
	case dataText:
		m.scanner.put(p)
	case dataObject:
		whole := m.scanner.state == beforeValue && m.scanner.depth == 0
		n := m.scanner.scan(p)
		if m.scanner.state == idle {
			if whole {
				m.shape.learn(p[:n], &m.scanner)
			}
			m.dispatch()
		}
	case dataMark:
		for i, c := range p {
			if m.n == 1 && c == '{' { // an error in an array
				m.scanner.begin()
				m.line = dataObject
				m.content(p[i:])
				return
			}
			if c != doneMark[m.n] {
				m.line = rest
				return
			}
			if m.n++; m.n == len(doneMark) {
				m.done, m.ended = true, !m.fault.seen
				return
			}
		}
	}
}

// dispatch draws the conclusions from an event. An error among a stream's chunks need not
// be its end: usage may follow. But a call that was throttled before it put out anything is
// over, and some callers read no further.
func (m *Meter) dispatch() {
	m.scanner.fault.conclude()
	e := m.scanner.event
	if e == plain {
		e = m.named
	}
	switch e {
	case completed, audioDelta, imagePart:
		m.scanner.shown = true
	}
	switch {
	case e == failed || m.scanner.fault.seen || m.status >= 400:
		m.fault = m.scanner.fault
		m.fault.seen = true
		// Its kind needs no clock: a date in the message is taken to be yet to come.
		m.done = e == failed || e == terminal || e == stopped || m.status >= 400 ||
			!m.scanner.shown && newThrottle(m.status, nil, m.fault, time.Time{}).Kind != Other
		m.ended = e == terminal || e == stopped
	case e == terminal:
		m.done, m.ended = true, true
	case e == stopped: // Azure says in an event of its own why
		m.done, m.ended = m.scanner.hasUsage, true
	case e == completed:
		m.ended = true
	}
}

// Usage returns the usage seen, at the top level or in .response: of several the largest
// figures, for some servers stream it cumulatively and others in pieces. ok is false if
// there was none, or only null or zeros.
func (m *Meter) Usage() (u Usage, ok bool) {
	return m.scanner.usage, m.scanner.hasUsage
}

// ID returns the id by which a later request can refer to the response: that of the
// object, or of an event's .response. It is empty if there was none, or one of more than
// 256 bytes.
func (m *Meter) ID() string { return m.scanner.id.String() }

// Model returns the model that the response names, of at most 256 bytes, or "".
func (m *Meter) Model() string { return m.scanner.model.String() }

// Failed reports whether the body has had an error that it says all of; it may still go on.
func (m *Meter) Failed() bool { return m.fault.seen }

// Shown reports whether a part of a stream's output has come.
func (m *Meter) Shown() bool { return m.scanner.shown }

// Ended reports whether the body came to its regular end, so that all of it was seen.
func (m *Meter) Ended() bool { return m.ended }

// Throttle returns the error in the body: of a response that failed as a whole
// (any status from 400 on; h are its headers, as in [ParseThrottle]), or of one that
// began with 200 and carries an error object or event. It is nil if there was none. It
// may be called at any time, and covers what was read by then. now reads what is now in
// [ParseThrottle].
func (m *Meter) Throttle(h http.Header, now func() time.Time) *Throttle {
	f := m.error()
	if !f.seen && m.status < 400 {
		return nil
	}
	r := newThrottle(m.status, h, f, now())
	return &r
}

// error returns what is known of the body's error, even in the middle of it.
func (m *Meter) error() fault {
	if m.fault.seen || !m.fault.empty() {
		return m.fault
	}
	s := &m.scanner
	f := s.fault
	if s.state == inText && (s.value == messageNode || s.value == rootMessageNode) {
		f.set(s.value, kept(s.buf[:s.n], false))
	}
	return f
}
