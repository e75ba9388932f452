package wire

import (
	"strconv"
	"strings"
	"time"
)

const (
	// maxCount is the largest figure that counts; float64 holds every integer below it.
	maxCount = 1_000_000_000_000_000
	// maxWait is the longest reset from which a limit is learned. The longest window is a day,
	// and one overdrawn by its whole limit refills in two.
	maxWait = 48 * time.Hour
)

// parseNumber reads a plain decimal number between 0 and maxCount. It rejects what
// strconv understands beyond JSON's syntax (hex, underscores, Inf).
func parseNumber(s string) (float64, bool) {
	if len(s) == 0 || len(s) > 32 {
		return 0, false
	}
	n, whole := int64(0), len(s) <= 16 // digits, of which float64 holds every number up to maxCount
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			n = 10*n + int64(c-'0')
		case c == '.', c == 'e', c == 'E', c == '+', c == '-':
			whole = false
		default:
			return 0, false
		}
	}
	if whole && n <= maxCount {
		return float64(n), true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= maxCount) {
		return 0, false
	}
	return f, true
}

// parseCount reads a count, whole or not, with or without thousands separators
// ("30,000"). It rejects values that a proxy may have joined ("300, 300").
func parseCount(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	if strings.IndexByte(s, ',') < 0 {
		f, ok := parseNumber(s)
		return int64(f), ok
	}
	var n int64
	for group := 0; ; group++ {
		digits, rest, more := strings.Cut(s, ",")
		if len(digits) > 3 || len(digits) == 0 || group > 0 && len(digits) < 3 || group > 5 {
			return 0, false
		}
		for i := range len(digits) {
			if digits[i] < '0' || digits[i] > '9' {
				return 0, false
			}
			n = n*10 + int64(digits[i]-'0')
		}
		if !more {
			return n, n <= maxCount
		}
		s = rest
	}
}

// parseWait reads a Go duration ("6m0s", "1m30.5s") or, as Azure sends it, a
// bare number of seconds, unless that is so large that it is a moment. Of a longer one
// it returns longestWait.
func parseWait(s string) (d time.Duration, bare, ok bool) {
	s = strings.TrimSpace(s)
	if f, isNumber := parseNumber(s); isNumber {
		if f >= firstMoment {
			return 0, true, false
		}
		return span(f, time.Second), true, true
	}
	if s == "" || s[0] == '-' || s[0] == '+' {
		return 0, false, false
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, false, false
	}
	return min(d, longestWait), false, true
}
