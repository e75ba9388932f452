package costing

// A large body's text is not counted but estimated: what counting costs is the processor's
// caches, a millisecond for 100 KB, and the server itself goes by an estimate when it admits
// a call. Windows are counted that lie all over the text, and the rest is taken to be as
// those near it. A window begins and ends where a word does, so that it has as many tokens
// by itself as in its place.
const (
	// sampledFrom is the size of the bodies from which on text is estimated.
	sampledFrom = 16 << 10
	// leastSample and one byte of each sampledPart of the body are counted, but no more
	// than mostSample.
	leastSample, mostSample = 12 << 10, 64 << 10
	sampledPart             = 40
	// window is how long each of the texts is that are counted.
	window = 320
	// near is how far from where a window would be cut by chance it may be cut instead.
	near = 48
	// around is how many bytes before a window tell what the text is like there.
	around = 1 << 10
)

// A sample is where the windows of a body's text lie: one in each stretch of the same
// length, at a place in it that looks random and is always the same. Of text that is alike
// everywhere, each second stretch has one.
type sample struct {
	stretch int   // 0: everything is counted
	seen    int   // bytes of text so far
	begins  int   // where the current stretch does
	weight  int64 // how many stretches its window stands for
	next    int   // where that is
	seed    uint32
	open    int // what a window lacks that began in a short text before

	bytes, tokens int64 // of all windows so far, each as often as it counts
	signs         signs

	estimated int64 // tokens of all text that was not counted as a whole
	most      int64 // and how many it has at most: its bytes
	elsewhere int   // bytes of text that is counted in any case
}

// begin prepares for so many bytes of text.
func (s *sample) begin(size int) {
	*s = sample{weight: 1}
	if size > sampledFrom {
		s.stretch = size / (min(leastSample+size/sampledPart, mostSample) / window)
		s.seed = uint32(size)
	}
}

// late is what is known of the tokens only when all windows have been counted: each text was
// taken to be as those before it. Signs tell the rest.
func (s *sample) late() int64 {
	if s.estimated == 0 {
		return 0
	}
	more := s.of(s.most) - s.estimated + int64(s.signs.more(float64(s.seen)))
	more = clamp(more, -s.estimated, s.most-s.estimated)
	s.estimated += more
	return more
}

// of is how many tokens so many bytes have if they are as the windows so far.
func (s *sample) of(bytes int64) int64 { return (bytes*s.tokens + s.bytes/2) / s.bytes }

// advance moves on to the next stretch, or over two where the windows are alike.
func (s *sample) advance() {
	s.begins += int(s.weight) * s.stretch
	s.weight = 1
	if s.signs.even() {
		s.weight = 2
	}
	s.seed = s.seed*1664525 + 1013904223
	s.next = s.begins + int(uint64(s.seed)*uint64(s.weight)*uint64(s.stretch)>>32)
}

// counted takes in a part of a window.
func (s *sample) counted(raw []byte, tokens int64) {
	s.bytes += s.weight * int64(len(raw))
	s.tokens += s.weight * tokens
	s.signs.window(raw, tokens)
}

// sampled is how many tokens a text has, as it stands in the body.
func (r *reader) sampled(raw []byte) int64 {
	s := &r.sample
	length := int64(len(raw))
	if length == 0 {
		return 0
	}
	if length > 2*window {
		r.windows(raw)
	} else if n, ok := r.short(raw); ok {
		return n
	}
	n := s.of(length)
	s.estimated += n
	s.most += length
	return n
}

// short counts a short text whole, or not at all.
func (r *reader) short(raw []byte) (n int64, ok bool) {
	s := &r.sample
	s.seen += len(raw)
	if s.next < s.seen+around {
		s.signs.around(raw)
	}
	if s.open <= 0 && s.next >= s.seen {
		return 0, false
	}
	if s.open <= 0 {
		s.open = window
	}
	s.open -= len(raw)
	n = r.count(raw)
	s.counted(raw, n)
	for s.next < s.seen {
		s.advance()
	}
	return n, true
}

// windows counts those of a long text.
func (r *reader) windows(raw []byte) {
	s := &r.sample
	begins := s.seen
	s.seen += len(raw)
	for last := 0; s.next < s.seen; {
		from := cutFrom(raw, max(last, min(s.next-begins, len(raw)-window)))
		to := cutFrom(raw, min(from+window, len(raw)))
		if from < to {
			s.signs.around(raw[max(last, from-around):to])
			s.counted(raw[from:to], r.count(raw[from:to]))
		}
		last = to
		for s.next < begins+last {
			s.advance()
		}
	}
	s.open = 0
}

// cutFrom returns where a text is cut, from i on: soon after it where that leaves tokens
// whole, and never within an escape or a rune.
func cutFrom(raw []byte, i int) int {
	if i <= 0 || i >= len(raw) {
		return min(max(i, 0), len(raw))
	}
	for j := i; j < min(i+near, len(raw)); j++ {
		if endsWord(raw, j) {
			return j
		}
	}
	for j := i; j < min(i+near, len(raw)); j++ {
		if raw[j]&0xC0 != 0x80 && !escaped(raw, j) {
			return j
		}
	}
	return i
}

// endsWord reports whether a word of which anything is known ends before j: with an ASCII
// letter, or before what Chinese and Japanese put between clauses.
func endsWord(raw []byte, j int) bool {
	switch c, before := raw[j], raw[j-1]; {
	case c == 0xE3:
		return j+2 < len(raw) && raw[j+1] == 0x80 && raw[j+2] <= 0x82 && before >= 0x80 // 、 and 。
	case c == 0xEF:
		return j+1 < len(raw) && raw[j+1] == 0xBC && before >= 0x80 // ， and its like
	case c == ' ' && before >= 0x80 && before != 0xBF:
		return j >= 2 && raw[j-2] >= 0xC3 && raw[j-2] <= 0xD4 // Latin, Greek, Cyrillic
	default:
		return isLetter(before) && !isLetter(c) && c < 0x80 && c != '\'' && c != '\\' && (j < 2 || raw[j-2] != '\\')
	}
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// escaped reports whether a cut before j may lie within an escape.
func escaped(raw []byte, j int) bool {
	const longest = 12 // \ud83d\ude00
	for i := max(0, j-longest+1); i < j; i++ {
		if raw[i] == '\\' {
			return raw[j] != '\\' || raw[j-1] == '\\'
		}
	}
	return false
}
