package wire

import "bytes"

// A shape is the last event of a stream that was scanned, and which of its values differ
// from event to event. Nearly every event of a stream is the one before with another delta,
// so those of its shape are compared and not scanned: where all else is the same, byte by
// byte, so is what the scanner would find.
//
// An event has a shape if it is one line that says nothing of errors.
type shape struct {
	line   [maxShape]byte
	length int // 0: there is none
	holes  [maxHoles]hole
	n      int
	event  event
	names  int // of the scanner, at that time
}

const (
	// maxShape is the length of the longest event that has a shape: chat chunks have 200
	// to 400 bytes.
	maxShape = 1024
	// maxHoles is how many values of an event may differ.
	maxHoles = 24
)

// A hole is a value that may differ without a difference to the scanner, but for its text.
// An event that matches has at most bufferSize bytes in each, so that 16 bits hold their places.
type hole struct {
	from, to uint16
	kind     holeKind
	differs  bool // from one event to the next
}

type holeKind uint8

const (
	textHole    holeKind = iota // within the quotes of a delta
	stringHole                  // within the quotes of a string that is skipped
	numberHole                  // a literal that is skipped
	noMoreHoles = maxHoles + 1
)

// holes collects those of the object that is scanned.
type holes struct {
	list [maxHoles]hole
	n    int // noMoreHoles where there were too many
}

func (s *holes) add(kind holeKind, from, to int) {
	if s.n >= maxHoles || to > maxShape {
		s.n = noMoreHoles
		return
	}
	s.list[s.n] = hole{uint16(from), uint16(to), kind, kind == textHole}
	s.n++
}

// learn takes in an event that was scanned as a whole, and which of its values differ from
// those of the one before.
func (h *shape) learn(line []byte, s *scanner) {
	found := &s.holes
	if len(line) > maxShape || found.n == noMoreHoles || s.fault != (fault{}) {
		return
	}
	if h.n == found.n {
		for i := range h.holes[:h.n] {
			was, is := &h.holes[i], &found.list[i]
			is.differs = is.differs || was.kind == is.kind &&
				(was.differs || !bytes.Equal(h.line[was.from:was.to], line[is.from:is.to]))
		}
	}
	h.n = 0
	for _, is := range found.list[:found.n] {
		h.holes[h.n] = is
		h.n++
	}
	h.length = copy(h.line[:], line)
	h.event, h.names = s.event, s.names
}

// match reads an event of the shape at the beginning of p. It returns its length and the
// places of its texts, or 0 if p begins with something else.
func (h *shape) match(p []byte, texts *[maxHoles]hole) (length, n int) {
	from, at := uint16(0), 0 // in the shape's line, in p
	for i := range h.holes[:h.n] {
		s := &h.holes[i]
		if !s.differs {
			continue
		}
		fixed := int(s.from - from)
		if len(p)-at <= fixed || string(p[at:at+fixed]) != string(h.line[from:s.from]) {
			return 0, 0
		}
		at += fixed
		end := at
		if s.kind == numberHole {
			if c := p[at]; (c < '0' || c > '9') && c != '-' {
				return 0, 0
			}
			for end < len(p) && class[p[end]]&delimiter == 0 {
				end++
			}
		} else {
			for end < len(p) && class[p[end]]&special == 0 {
				end++
			}
		}
		if end == len(p) || end-at > bufferSize {
			return 0, 0
		}
		if s.kind == textHole && end > at {
			texts[n] = hole{from: uint16(at), to: uint16(end)}
			n++
		}
		from, at = s.to, end
	}
	fixed := h.length - int(from)
	if len(p)-at < fixed || string(p[at:at+fixed]) != string(h.line[from:h.length]) {
		return 0, 0
	}
	return at + fixed, n
}
