package wire

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestWait is what longer waits are cut to. It is far above any pause that is kept, and
// far below what a Duration holds, so that sums of waits don't overflow.
const longestWait = 10 * 365 * day

// span returns n units as a Duration, at most longestWait.
func span(n float64, unit time.Duration) time.Duration {
	if n >= float64(longestWait)/float64(unit) {
		return longestWait
	}
	return time.Duration(n * float64(unit))
}

// RetryAfter returns how long the server asks callers to wait. retry-after-ms is the
// finer of its two headers, except that Azure sends 0 there beside a positive
// retry-after. A wait that is negative or past is ignored; a very long one is cut to ten
// years.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	ms, ok := retryAfterMS(h)
	if ok && ms > 0 {
		return ms, true
	}
	if d, coarse := retryAfter(h, now); coarse {
		return d, true
	}
	return ms, ok
}

func retryAfterMS(h http.Header) (time.Duration, bool) {
	f, ok := positive(strings.TrimSpace(cmp.Or(first(h, "Retry-After-Ms"), first(h, "X-Ms-Retry-After-Ms"))))
	if !ok {
		return 0, false
	}
	return span(f, time.Millisecond), true
}

// retryAfter reads seconds, whole or not, an HTTP date, or what some servers send there: a
// duration with its unit.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	s := strings.TrimSpace(first(h, "Retry-After"))
	if f, ok := positive(s); ok {
		return span(f, time.Second), true
	}
	if at, ok := httpDate(s); ok {
		return until(at, now)
	}
	return spoken(strings.ToLower(s), now, time.Second)
}

// httpDate reads a date as HTTP has it, in GMT, or with another name or offset of its zone,
// as SDKs do.
func httpDate(s string) (at time.Time, ok bool) {
	at, err := http.ParseTime(s)
	for _, layout := range [...]string{time.RFC1123, time.RFC1123Z} {
		if err != nil {
			at, err = time.Parse(layout, s)
		}
	}
	return at, err == nil
}

// until returns the wait until at, if that is to come.
func until(at, now time.Time) (time.Duration, bool) {
	d := min(at.Sub(now), longestWait)
	return max(d, 0), d >= 0
}

// positive reads a plain number that is not negative. Unlike parseNumber it has no largest.
func positive(s string) (float64, bool) {
	const most = 1e18
	if f, ok := parseNumber(s); ok {
		return f, true
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || '9' < c) && c != '.' && (i == 0 || c != 'e' && c != 'E' && c != '+') {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if f >= most { // also where it is out of range, or has more digits than parseNumber reads
		return most, true
	}
	return f, err == nil && f >= 0
}

// waitWords are what a wait stands behind, the most certain first: "Please try again in
// 20s", "Please retry after 37 seconds", "Please wait 42 seconds", "resets in 3h". Behind the
// last ones a number alone may be anything.
var waitWords = [...]struct {
	word string
	bare time.Duration
}{
	{"again", time.Second}, {"retry", time.Second}, {"wait", time.Second},
	{"reset", 0}, {"available", 0}, {"replenished", 0},
	{"back off", 0}, {"back-off", 0}, {"backoff", 0}, {"cool down", 0}, {"cooldown", 0},
}

// waitIn finds a wait in a message.
func waitIn(message string, now time.Time) (time.Duration, bool) {
	message = strings.ToLower(message)
	for _, w := range waitWords {
		for rest := message; ; {
			var ok bool
			if _, rest, ok = strings.Cut(rest, w.word); !ok {
				break
			}
			if d, ok := behind(rest, now, w.bare); ok && d > 0 {
				return d, true
			}
		}
	}
	return 0, false
}

// fillers may stand between such a word and its wait.
var fillers = map[string]bool{
	"in": true, "after": true, "for": true, "at": true, "on": true, "least": true, "about": true,
	"approximately": true, "approx": true, "around": true, "roughly": true, "another": true,
	"again": true, "until": true, "within": true, "the": true, "next": true, "your": true, "this": true,
	"request": true, "requests": true, "call": true, "ing": true, "s": true, "try": true,
	"trying": true, "once": true, "is": true, "of": true, "time": true, "period": true, "delay": true,
	"minimum": true, "more": true, "and": true, "then": true, "retry": true, "it": true, "be": true,
	"later": true, "up": true, "to": true, "will": true, "you": true, "can": true, "must": true,
	"some": true, "operation": true, "attempt": true, "attempting": true, "sending": true,
	"making": true, "less": true, "than": true, "no": true, "earlier": true, "any": true,
}

// behind reads a wait that begins s but for fillers: "ing in about 20s". A unit may stand
// before it: "_after_ms: 20".
func behind(s string, now time.Time, bare time.Duration) (time.Duration, bool) {
	const most = 8
	when := false // a time of day follows
	for range most {
		s = strings.TrimLeft(s, " \t\r\n-_=:~({'\"`*")
		end := letters(s)
		if end == 0 {
			break
		}
		if one, _ := article(s); one > 0 {
			return one, true
		}
		word := s[:end]
		if u := unitOf(strings.TrimPrefix(word, "after")); u > 0 && word != "s" { // retryAfterMs
			bare = u
		} else if !fillers[word] {
			if at, ok := httpDate(strings.ToUpper(s[:min(len(s), len(http.TimeFormat))])); ok {
				return until(at, now)
			}
			return 0, false
		}
		when = word == "at" || word == "until" || word == "on"
		s = s[end:]
	}
	if when {
		return calendar(s, now)
	}
	return spoken(s, now, bare)
}

// article reads "a minute", "an hour" and "two minutes".
func article(s string) (time.Duration, bool) {
	number, rest, _ := strings.Cut(s, " ")
	n := numerals[number]
	return n * unitOf(rest[:letters(rest)]), n > 0
}

var numerals = map[string]time.Duration{
	"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
	"seven": 7, "eight": 8, "nine": 9, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "sixty": 60,
}

// spoken reads a wait at the beginning of s, in lower case: "9.816s", "7m12s",
// "37 seconds", "7 minutes and 12 seconds", "114h18m0s", "00:01:30", or a time in RFC 3339.
// A number alone is in the unit bare; 0 is none.
func spoken(s string, now time.Time, bare time.Duration) (d time.Duration, ok bool) {
	last := time.Duration(0) // the units of parts fall
	for {
		digits := figures(s)
		n, isNumber := positive(strings.ReplaceAll(s[:digits], ",", ""))
		if !isNumber || digits == 0 {
			return d, ok
		}
		after := strings.TrimLeft(s[digits:], " \u00a0")
		if rest, ok := strings.CutPrefix(after, "-"); ok && letters(rest) > 0 { // "30-second"
			after = rest
		}
		unit := unitOf(after[:letters(after)])
		switch {
		case unit > 0 && (!ok || unit < last):
			after = strings.TrimPrefix(after[letters(after):], "(s)")
		case ok:
			return d, true // a number of something else
		case strings.HasPrefix(s[digits:], ":"):
			return clock(s)
		case strings.HasPrefix(s[digits:], "-"):
			return calendar(s, now)
		case counted[after[:letters(after)]], letters(after) > 0 && after == s[digits:]: // "3 requests", "3xx"
			return 0, false
		default: // "20", "20.", "20 before you …"
			return span(n, bare), bare > 0
		}
		d, ok, last = min(d+span(n, unit), longestWait), true, unit
		s = strings.TrimLeft(after, " \u00a0,")
		s = strings.TrimLeft(strings.TrimPrefix(s, "and "), " ")
	}
}

// counted are units that are no time.
var counted = map[string]bool{
	"request": true, "requests": true, "token": true, "tokens": true, "call": true, "calls": true,
	"image": true, "images": true, "attempt": true, "attempts": true, "times": true, "of": true,
}

// figures returns the length of the number at the beginning of s, with its fraction and
// thousands separators.
func figures(s string) int {
	digit := func(i int) bool { return i < len(s) && '0' <= s[i] && s[i] <= '9' }
	i := 0
	for ; digit(i) ||
		i > 0 && i < len(s) && s[i] == '.' && digit(i+1) ||
		i > 0 && i < len(s) && s[i] == ',' && digit(i+1) && digit(i+2) && digit(i+3) && !digit(i+4); i++ {
	}
	return i
}

// clock reads "1:30" and "00:01:30".
func clock(s string) (time.Duration, bool) {
	end := 0
	for end < len(s) && ('0' <= s[end] && s[end] <= '9' || s[end] == ':') {
		end++
	}
	var d time.Duration
	for part := range strings.SplitSeq(strings.TrimRight(s[:end], ":"), ":") {
		n, ok := positive(part)
		if !ok {
			return 0, false
		}
		if d > longestWait/60 {
			return longestWait, true
		}
		d = min(d*60+span(n, time.Second), longestWait)
	}
	return d, true
}

// calendar reads a time in RFC 3339, also with a space in place of its T and without a zone,
// which is UTC then.
func calendar(s string, now time.Time) (time.Duration, bool) {
	date, rest, _ := strings.Cut(s, " ")
	if len(date) == len(time.DateOnly) { // it has no time yet
		date += "t" + rest
	}
	end := strings.IndexFunc(date, func(r rune) bool { return !strings.ContainsRune("0123456789-:.+tz", r) })
	if end < 0 {
		end = len(date)
	}
	word := strings.ToUpper(strings.TrimRight(date[:end], ".:+-"))
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, word); err == nil {
			return until(at, now)
		}
	}
	return 0, false
}

// letters returns the length of the word at the beginning of s.
func letters(s string) int {
	for i, c := range s {
		if (c < 'a' || 'z' < c) && c != 'µ' && c != 'μ' {
			return i
		}
	}
	return len(s)
}

// unitOf returns the unit of a name, or 0.
func unitOf(name string) time.Duration {
	switch name {
	case "ns", "nanosecond", "nanoseconds":
		return time.Nanosecond
	case "us", "µs", "μs", "microsecond", "microseconds":
		return time.Microsecond
	case "ms", "msec", "msecs", "millis", "millisecond", "milliseconds":
		return time.Millisecond
	case "s", "sec", "secs", "second", "seconds":
		return time.Second
	case "m", "min", "mins", "minute", "minutes":
		return minute
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return day
	case "w", "week", "weeks":
		return 7 * day
	case "month", "months":
		return 30 * day
	case "year", "years":
		return 365 * day
	}
	return 0
}
