package wire

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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
// years. Gateways have names of their own for both: x-ms-retry-after-ms, x-ratelimit-retry-after,
// x-ratelimit-reset-after, llm_provider-retry-after. HTTP's and Azure's count before those.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	ms, ok := retryAfterMS(h)
	if ok && ms > 0 {
		return ms, true
	}
	seconds := func(s string) (time.Duration, bool) { return retryAfter(s, now) }
	if d, coarse := waitUnder(h, "Retry-After", time.Second, seconds); coarse {
		return d, true
	}
	return ms, ok
}

func retryAfterMS(h http.Header) (time.Duration, bool) {
	return waitUnder(h, "Retry-After-Ms", time.Millisecond, milliseconds)
}

// waitUnder returns the longest wait under the header's own name, or else under those that
// gateways made of it, and whether there is any: each server on the way may have added its own.
// Their names may end in the unit.
func waitUnder(h http.Header, own string, unit time.Duration, read func(string) (time.Duration, bool)) (longest time.Duration, ok bool) {
	take := func(values []string) {
		for _, joined := range values {
			for _, v := range separate(joined) {
				if d, said := read(strings.Trim(v, ` "'`)); said {
					longest, ok = max(longest, d), true
				}
			}
		}
	}
	if take(h[own]); ok {
		return longest, true
	}
	for name, values := range h {
		plain := spelt(name)
		_, end, found := strings.Cut(plain, "retryafter")
		if !found { // Discord's, which each response has
			left := first(h, strings.Replace(name, "Reset-After", "Remaining", 1))
			_, end, found = strings.Cut(plain, "resetafter")
			found = found && (left == "" || left == "0")
		}
		if end == "" {
			end = "s"
		}
		if found && unitOf(end) == unit || plain == "xratelimittimeremaining" && unit == time.Second { // GitHub's
			take(values)
		}
	}
	return longest, ok
}

// separate returns the numbers that a proxy has joined to one value ("12, 30"), or the value.
func separate(value string) []string {
	if _, one := parseCount(value); one {
		return []string{value}
	}
	parts := strings.Split(value, ",")
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
		if _, ok := positive(parts[i]); !ok {
			return []string{value}
		}
	}
	return parts
}

// milliseconds reads a number of them, or a duration with its unit.
func milliseconds(s string) (time.Duration, bool) {
	if f, ok := positive(s); ok {
		return span(f, time.Millisecond), true
	}
	if strings.ContainsAny(s, "-:") {
		return 0, false // a time, which is no number of milliseconds
	}
	return spoken(inMS(strings.ToLower(s)), time.Time{}, 0)
}

// retryAfter reads seconds, whole or not, an HTTP date, or what some servers send there: a
// wait in words.
func retryAfter(s string, now time.Time) (time.Duration, bool) {
	if f, ok := positive(s); ok {
		return bareWait(f, time.Second, now)
	}
	if at, ok := httpDate(s); ok {
		return until(at, now)
	}
	if strings.HasPrefix(s, "-") {
		return 0, false
	}
	return behind(strings.ToLower(s), now, time.Second)
}

// serverTime is the time by the clock of the server that has sent this response, or else now. A
// moment that a response names is by that clock.
func serverTime(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(first(h, "Date")); err == nil {
		return date
	}
	return now
}

// httpDate reads a date as HTTP has it, in GMT, or with another name or offset of its zone,
// as SDKs do, without one, without the day of the week, and as cookies have it.
func httpDate(s string) (at time.Time, ok bool) {
	at, err := http.ParseTime(s)
	for _, layout := range [...]string{time.RFC1123, time.RFC1123Z, "Mon, 2 Jan 2006 15:04:05",
		"2 Jan 2006 15:04:05 MST", "Mon, 02-Jan-06 15:04:05 MST", "Mon, 02-Jan-2006 15:04:05 MST"} {
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

// withoutISO writes a duration of ISO 8601 that begins s, in lower case, as Go does: "pt1m12s"
// as "1m12s", "p1dt2h" as "1d2h".
func withoutISO(s string) string {
	if rest, ok := strings.CutPrefix(s, "p"); ok {
		rest = strings.Replace(strings.TrimPrefix(rest, "t"), "dt", "d", 1)
		if figures(rest) > 0 {
			return rest
		}
	}
	return s
}

// inMS adds the unit to milliseconds that are a bare number. Some servers write "500ms".
func inMS(wait string) string {
	wait = strings.TrimSpace(wait)
	if n := figures(wait); n == 0 || n < len(wait) {
		return wait
	}
	return wait + "ms"
}

// bareWait is the wait that a number without a unit says, in the unit bare; 0 is none. Some
// servers give the time at which it ends, in seconds or milliseconds since 1970. One more
// than a year ago is not meant: in milliseconds the number is a wait of days.
func bareWait(n float64, bare time.Duration, now time.Time) (time.Duration, bool) {
	if at, ok := momentOf(n); ok && now.Add(-365*day).Before(at) {
		return until(at, now)
	}
	return span(n, bare), bare > 0
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
	{"reset", 0}, {"replenished", 0}, {"refresh", 0}, {"refill", 0}, {"unlock", 0}, {"recovery", 0},
	{"lifted", 0}, {"resume", 0}, {"restored", 0}, {"unblock", 0}, {"resubmit", 0},
	{"next request", 0}, {"next allowed", 0}, {"another request", 0}, {"next message", 0}, {"next call", 0},
	{"back off", 0}, {"back-off", 0}, {"backoff", 0}, {"backing off", 0}, {"cool down", 0}, {"cooldown", 0}, {"cooling down", 0},
	{"blocked", 0}, {"banned", 0}, {"throttled", 0}, {"suspended", 0}, {"restricted", 0},
	{"limited for", 0}, {"limited until", 0}, {"time remaining", 0}, {"remaining time", 0}, {"time left", 0},
	{"pause", 0}, {"sleep", 0}, {"delayed by", 0}, {"delay", 0}, {"come back", 0}, {"check back", 0}, {"please try", 0},
	{"try in", 0}, {"try after", 0}, {"hold off", 0},
	// What is available for 30 days is no wait.
	{"available in", 0}, {"available at", 0}, {"available after", 0}, {"available on", 0}, {"available within", 0},
	{"请", 0}, {"请在", 0}, {"请于", 0}, {"稍等", 0}, {"等待", 0}, {"等待时间", 0}, {"将在", 0}, {"将于", 0}, // "请在 30 秒后重试"
	{"請", 0}, {"請在", 0}, {"請於", 0}, {"等待時間", 0}, {"將在", 0}, {"將於", 0},
	{"冷却", 0}, {"冷却时间", 0}, {"间隔", 0}, {"重试", 0}, {"再试", 0}, {"重試", 0}, {"再試", 0},
	// Trials, plans and keys expire too, for which no call waits.
	{"limit expire", 0}, {"block expire", 0}, {"ban expire", 0}, {"window expire", 0},
	{"limit will expire", 0}, {"block will expire", 0}, {"ban will expire", 0}, {"window will expire", 0},
}

// waitIn finds a wait in a message.
func waitIn(message string, now time.Time) (time.Duration, bool) {
	message = inFigures(plainer.Replace(strings.ToLower(message)))
	for _, w := range waitWords {
		for rest := message; ; {
			var ok bool
			if _, rest, ok = strings.Cut(rest, w.word); !ok {
				break
			}
			if isOver(message[:len(message)-len(rest)-len(w.word)], w.word, rest) {
				continue
			}
			if d, ok := behind(rest, now, w.bare); ok && d > 0 {
				return d, true
			}
		}
	}
	return ahead(message, now)
}

// plainer writes a message in fewer ways.
var plainer = strings.NewReplacer(
	`\n`, " ", // of JSON that is quoted
	"\u00a0", " ", "\u202f", " ", "approx.", "approx",
	"０", "0", "１", "1", "２", "2", "３", "3", "４", "4", "５", "5", "６", "6", "７", "7", "８", "8", "９", "9",
	"个半小时", "小时30分钟", "個半小時", "小時30分鐘", "小时半", "小时30分钟", "小時半", "小時30分鐘", "時間半", "時間30分", "시간 반", "시간30분",
	"分半钟", "分30秒", "分半鐘", "分30秒", "分钟半", "分钟30秒", "分鐘半", "分鐘30秒", "分半", "分30秒",
	"半小时", "30分钟", "半小時", "30分鐘", "半个小时", "30分钟", "半個小時", "30分鐘", "半時間", "30分",
	"半分钟", "30秒", "半分鐘", "30秒", "半天", "12小时", "一刻钟", "15分钟", "一刻鐘", "15分鐘",
)

// hanDigits are the numerals of Chinese and Japanese below ten, and hanPowers those from there on.
var (
	hanDigits = map[rune]int64{
		'零': 0, '〇': 0, '一': 1, '二': 2, '两': 2, '兩': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9,
	}
	hanPowers = map[rune]int64{'十': 10, '百': 100, '千': 1000, '万': 10_000, '萬': 10_000}
)

// inFigures writes the numerals that stand before a unit of time in figures: "十一秒" is "11秒".
// Elsewhere they are parts of words.
func inFigures(message string) string {
	var b strings.Builder
	done := 0
	for i, c := range message {
		if i < done {
			continue
		}
		if _, digit := hanDigits[c]; !digit && hanPowers[c] == 0 {
			continue
		}
		n, length := hanNumber(message[i:])
		end := i + length
		fraction, more := hanFraction(message[end:])
		behindFigure := i > 0 && '0' <= message[i-1] && message[i-1] <= '9' // "5百" is neither
		if !behindFigure && countsTime(message[i:end], message[end+more:]) {
			b.WriteString(message[done:i])
			b.WriteString(strconv.FormatInt(n, 10))
			b.WriteString(fraction)
			end += more
		} else {
			b.WriteString(message[done:end])
		}
		done = end
	}
	if done == 0 {
		return message
	}
	return b.String() + message[done:]
}

// hanNumber reads the numerals at the beginning of s: "一百零五", "三十", "十", "一二〇". Two digits
// that are no zero are a range, of which the end counts: "三五" is three to five.
func hanNumber(s string) (n int64, length int) {
	const most = 1_000_000_000 // of seconds 32 years
	part := int64(0)
	for length < len(s) {
		last, digits := hanRun(s[length:])
		length += digits
		c, size := utf8.DecodeRuneInString(s[length:])
		power := hanPowers[c]
		switch {
		case power == 10_000:
			n, part = min(n+max(part+last, 1)*power, most), 0
		case power > 0:
			part = min(part+max(last, 1)*power, most)
		default:
			return min(n+part+last, most), length
		}
		length += size
	}
	return min(n+part, most), length
}

// hanRun reads the digits at the beginning of s.
func hanRun(s string) (n int64, length int) {
	var digits []int64
	for _, c := range s {
		digit, ok := hanDigits[c]
		if !ok || len(digits) > 9 {
			break
		}
		digits, length = append(digits, digit), length+utf8.RuneLen(c)
	}
	if len(digits) == 2 && digits[0] > 0 && digits[1] > 0 {
		return digits[1], length
	}
	for _, digit := range digits {
		n = 10*n + digit
	}
	return n, length
}

// hanFraction reads what follows the point in numerals: "点五" is ".5".
func hanFraction(s string) (fraction string, length int) {
	for _, point := range [...]string{"点", "點"} {
		rest, ok := strings.CutPrefix(s, point)
		if !ok {
			continue
		}
		for _, c := range rest {
			digit, ok := hanDigits[c]
			if !ok {
				break
			}
			fraction += strconv.FormatInt(digit, 10)
			length += utf8.RuneLen(c)
		}
		if length > 0 {
			return "." + fraction, len(point) + length
		}
	}
	return "", 0
}

// countsTime reports whether numerals count what follows them, and that is a time. "十分" and
// "万分" mean "very", and "百分百" all, unless it goes on like a time; "百分之十" and "十分之一" are parts.
func countsTime(number, after string) bool {
	after = strings.TrimLeft(after, " ")
	for _, u := range hanUnits {
		rest, ok := strings.CutPrefix(after, u.name)
		if !ok {
			continue
		}
		if u.name != "分" {
			return true
		}
		for _, then := range hanAfter {
			if strings.HasPrefix(rest, then) {
				return true
			}
		}
		r, _ := utf8.DecodeRuneInString(rest)
		_, digit := hanDigits[r]
		digit = digit || r == '十' || figures(rest) > 0
		power, size := utf8.DecodeRuneInString(number)
		very := size == len(number) && hanPowers[power] > 0
		return !strings.HasPrefix(rest, "之") && (digit || !very)
	}
	return false
}

// isOver reports whether a word speaks of a wait that has been, or of the longest there may be:
// "timed out after waiting 60s", "gave up after retrying for 30s", "maximum wait of 60s", "has
// already been throttled for 20s", "was delayed by 20s", "已经等待60秒".
func isOver(before, word, after string) bool {
	clause := before[strings.LastIndexAny(before, ".,;:!?(\n")+1:]
	said := strings.TrimRight(clause, " ")
	switch word {
	case "blocked", "banned", "suspended", "restricted": // and are so for as long
		return false
	}
	for _, done := range [...]string{"already", "already been", "已", "已经", "已經"} {
		if strings.HasSuffix(said, done) && !contains(after[:min(len(after), 12)], "until", "another") {
			return true
		}
	}
	switch word {
	case "try in", "try after": // "an entry in 30 days"
		return before != "" && letters(before[len(before)-1:]) > 0
	case "delay", "delayed by":
		return strings.HasSuffix(said, "was") || strings.HasSuffix(said, "were") || strings.HasSuffix(said, "been")
	case "wait":
		limit := strings.TrimRight(before, " _-")
		return strings.HasSuffix(limit, "max") || strings.HasSuffix(limit, "maximum") || strings.HasPrefix(after, "ed") ||
			strings.HasPrefix(after, "ing") && !contains(clause, "try", "recommend", "suggest", "consider")
	case "retry":
		return strings.HasPrefix(after, "ing for")
	case "等待":
		return strings.Contains(after, "超时")
	}
	return false
}

// ahead finds a wait that stands before its words: "20 seconds until the next request",
// "30秒後に再試行してください", "30초 후에 다시 시도하세요".
func ahead(message string, now time.Time) (time.Duration, bool) {
	for i := 0; i < len(message); i++ {
		n := figures(message[i:])
		if n == 0 {
			continue
		}
		d, rest, ok := spokenTo(message[i:], now, 0)
		rest = strings.TrimLeft(rest, " ")
		if ok && d > 0 && (leadsOn(rest) || remains(message, message[:i], rest)) {
			return d, true
		}
		i += n
	}
	return 0, false
}

// leadsOn reports whether what stands behind a duration makes it a wait.
func leadsOn(s string) bool {
	for _, words := range waitEnds {
		if strings.HasPrefix(s, words) {
			return true
		}
	}
	for _, after := range hanAfter {
		if rest, ok := strings.CutPrefix(s, after); ok {
			if end := strings.IndexAny(rest, "。，,.；;！!"); end >= 0 {
				rest = rest[:end]
			}
			return contains(rest, hanAgain...) // not "60秒后超时", which is a timeout
		}
	}
	return false
}

// remains reports whether a clause says how much of a limit's time is left, and no more: "Rate limit
// exceeded, 27 seconds remaining". Trials and plans have days left, for which no call waits.
func remains(message, before, after string) bool {
	before = strings.TrimRight(before, " ")
	word := after[:letters(after)]
	if word != "remaining" && word != "left" || before != "" && strings.IndexByte(".,;:!(-", before[len(before)-1]) < 0 {
		return false
	}
	end := strings.TrimLeft(after[len(word):], " ")
	return (end == "" || strings.IndexByte(".,;!)", end[0]) >= 0) &&
		!contains(message, "trial", "plan", "subscription", "key", "credit", "budget", "audio", "video", "speech", "session", "minutes of", "seconds of")
}

var (
	// waitEnds are what stands behind a wait.
	waitEnds = [...]string{
		"until", "remaining until", "remaining before", "left until", "left before", "from now", "you can", "you may",
		"before retrying", "before trying", "before sending", "before making", "before another", "before the next", "before next", "before you",
		"お待ち", "ほどお待ち", "待って", "기다", "만 기다", "간 기다", "동안 기다",
	}
	// hanAfter are "after" in Chinese, Japanese and Korean, and hanAgain what happens then.
	hanAfter = [...]string{"后", "後", "之后", "之後", "以后", "以後", "钟后", "鐘後", "후", "뒤"}
	hanAgain = []string{"试", "試", "再", "恢", "解除", "重置", "继续", "繼續", "リトライ", "もう", "やり直", "다시", "재시도", "해제", "초기화"}
)

// fillers may stand between such a word and its wait; so may such words themselves.
var fillers = map[string]bool{
	"in": true, "after": true, "for": true, "at": true, "on": true, "least": true, "about": true,
	"approximately": true, "approx": true, "around": true, "roughly": true, "another": true,
	"until": true, "within": true, "the": true, "next": true, "your": true, "this": true,
	"request": true, "requests": true, "call": true, "ing": true, "s": true, "try": true,
	"trying": true, "once": true, "is": true, "of": true, "time": true, "period": true, "delay": true,
	"minimum": true, "more": true, "and": true, "then": true, "it": true, "be": true,
	"later": true, "up": true, "to": true, "will": true, "you": true, "can": true, "must": true,
	"some": true, "operation": true, "attempt": true, "attempting": true, "sending": true,
	"making": true, "between": true, "d": true, "less": true, "than": true, "no": true, "earlier": true, "any": true,
	"a": true, "few": true, "moment": true, "moments": true, "possible": true, "allowed": true, "sooner": true,
	"only": true, "before": true, "exactly": true, "under": true, "over": true, "header": true,
	"es": true, "ed": true, "date": true, "shortly": true, "soon": true, "max": true, "maximum": true, "nanos": true,
}

// behind reads a wait that begins s but for fillers: "ing in about 20s". A unit may stand
// before it: "_after_ms: 20".
func behind(s string, now time.Time, bare time.Duration) (time.Duration, bool) {
	const most = 8
	when := false // a time of day follows
	for range most {
		s = strings.TrimLeft(s, " \t\r\n-_=:~≈<>()[{'\"`*“‘\\：（约約")
		if clause, ok := strings.CutPrefix(s, ", "); ok && (strings.HasPrefix(clause, "in ") || strings.HasPrefix(clause, "after ")) {
			s = clause
		}
		end := letters(s)
		if end == 0 || withoutISO(s) != s {
			break
		}
		if part, _, _ := article(s); part > 0 {
			return spoken(s, now, bare)
		}
		word := s[:end]
		if u := unitOf(strings.TrimPrefix(word, "after")); u > 0 && !fillers[word] { // retryAfterMs
			bare = u
		} else if !fillers[word] {
			if at, ok := httpDate(strings.ToUpper(s[:min(len(s), len(http.TimeFormat))])); ok {
				return until(at, now)
			}
			return 0, false
		}
		when = word == "at" || word == "until" || word == "on"
		if word == "later" || word == "attempt" {
			bare = 0 // "try again later (429)", "retry attempt 2"
		}
		s = s[end:]
	}
	if when {
		if d, ok := calendar(s, now); ok {
			return d, true
		}
		n, _ := positive(s[:figures(s)])
		return bareWait(n, 0, now)
	}
	return spoken(s, now, bare)
}

// article reads "a minute", "an hour", "two minutes", "one and a half minutes", "half an hour",
// "a minute and a half" and "a couple of minutes". rest is what follows.
func article(s string) (d, unit time.Duration, rest string) {
	n, rest := numeral(s)
	half := time.Duration(0)
	if after, ok := strings.CutPrefix(rest, "half "); ok && n <= 1 { // "a half hour"
		rest = strings.TrimPrefix(strings.TrimPrefix(after, "an "), "a ")
		n, half = 0, 1
	} else if after, ok := strings.CutPrefix(rest, "and a half "); ok {
		rest, half = after, 1
	} else if after, ok := strings.CutPrefix(rest, "couple "); ok && n == 1 {
		rest, n = strings.TrimPrefix(after, "of "), 2
	}
	end := letters(rest)
	unit = unitOf(rest[:end])
	rest = strings.TrimLeft(rest[end:], " ")
	if after, ok := strings.CutPrefix(rest, "and a half"); ok && letters(after) == 0 {
		rest, half = strings.TrimLeft(after, " "), 1
	}
	return min(span(float64(n), unit)+half*unit/2, longestWait), unit, rest
}

// numeral reads a number in words: "twenty", "forty-five", "one hundred and twenty".
func numeral(s string) (n time.Duration, rest string) {
	for rest = s; ; {
		word := rest[:letters(rest)]
		after := strings.TrimLeft(rest[len(word):], " -")
		more := numerals[word]
		switch {
		case word == "hundred" && 0 < n && n < 100:
			n *= 100
		case word == "and" && n >= 100:
		case more > 0 && (n%100 == 0 || n%100 >= 20 && n%10 == 0 && more < 10):
			n += more
		default:
			return n, rest
		}
		rest = after
	}
}

var numerals = map[string]time.Duration{
	"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
	"seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13,
	"fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
	"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}

// spoken is [spokenTo] where of what follows only that matters which makes it no wait: "60s ago",
// "60s already", "60秒内", which is within them.
func spoken(s string, now time.Time, bare time.Duration) (d time.Duration, ok bool) {
	d, rest, ok := spokenTo(s, now, bare)
	if said := s[:len(s)-len(rest)]; strings.HasSuffix(strings.TrimRight(said, " "), ",") {
		return d, ok // another clause follows
	}
	return d, ok && !isPast(rest)
}

// isPast reports whether what stands behind a time makes it no wait: it is over, or what happens
// within it counts.
func isPast(rest string) bool {
	rest = strings.TrimLeft(rest, "钟鐘之以")
	for _, end := range overEnds {
		if after, ok := strings.CutPrefix(rest, end); ok && letters(after) == 0 && (after == "" || strings.IndexByte("=:_", after[0]) < 0) {
			return true
		}
	}
	return false
}

var overEnds = [...]string{"ago", "already", "so far", "elapsed", "have elapsed", "has elapsed", "have passed", "has passed", "in vain", "内", "內"}

// spokenTo reads a wait at the beginning of s, in lower case: "9.816s", "7m12s", "pt12s",
// "37 seconds", "7 minutes and 12 seconds", "114h18m0s", "00:01:30", "1 day, 2:03:04", "30秒", or
// a time in RFC 3339.
// A number alone is in the unit bare; 0 is none. rest is what follows parts with units.
func spokenTo(s string, now time.Time, bare time.Duration) (d time.Duration, rest string, ok bool) {
	last := time.Duration(0) // the units of parts fall
	for s = withoutISO(s); ; {
		if part, unit, rest := article(s); part > 0 && (!ok || unit < last) {
			d, ok, last, s = min(d+part, longestWait), true, unit, nextPart(rest)
			continue
		}
		digits := figures(s)
		n, isNumber := positive(strings.ReplaceAll(s[:digits], ",", ""))
		if !isNumber {
			return d, s, ok
		}
		if more := decimals(s[digits:]); more > 0 {
			n, _ = positive(s[:digits] + "." + s[digits+1:digits+more])
			digits += more
		}
		after := strings.TrimPrefix(upTo(strings.TrimLeft(s[digits:], " ")), "more ")
		if word, ok := strings.CutPrefix(after, "-"); ok && letters(word) > 0 { // "30-second"
			after = word
		}
		unit, length := unitAt(after)
		switch {
		case unit > 0 && (!ok || unit < last):
			rest := strings.TrimPrefix(after[length:], "(s)")
			if more, ok := strings.CutPrefix(rest, "."); ok && abbreviated[after[:length]] && figures(strings.TrimLeft(more, " ")) > 0 {
				rest = more
			}
			after = rest
		case last == day && strings.HasPrefix(s[digits:], ":"):
			more, _ := clock(s)
			return min(d+more, longestWait), "", true
		case ok:
			return d, s, true // a number of something else
		case strings.HasPrefix(s[digits:], ":"):
			d, ok = clock(s)
			return d, "", ok
		case strings.HasPrefix(s[digits:], "-"):
			d, ok = calendar(s, now)
			return d, "", ok
		case counted[after[:letters(after)]], letters(after) > 0 && after == s[digits:]: // "3 requests", "3xx"
			return 0, "", false
		case after != "" && strings.IndexByte("0123456789/_'", after[0]) >= 0: // "1 234 s", "1/2 hour"
			return 0, "", false
		default: // "20", "20.", "20 before you …"
			if word := after[:letters(after)]; word != "" && !fillers[word] {
				bare = 0 // "429 too many requests"
			}
			d, ok = bareWait(n, bare, now)
			return d, "", ok
		}
		d, ok, last, s = min(d+span(n, unit), longestWait), true, unit, nextPart(after)
	}
}

// nextPart skips what stands between the parts of a wait.
func nextPart(s string) string {
	s = strings.TrimLeft(s, " ,")
	if part, ok := strings.CutPrefix(s, ":"); ok && figures(part) > 0 { // "1m:30s"
		return part
	}
	return strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(s, "and "), "& "), " ")
}

// abbreviated are the units that a full stop follows within a wait: "5 min. 30 sec."
var abbreviated = map[string]bool{"hr": true, "hrs": true, "min": true, "mins": true, "sec": true, "secs": true}

// upTo skips the end of a range, so that its beginning counts: "-30 seconds" of "20-30
// seconds".
func upTo(s string) string {
	for _, between := range [...]string{"-", "–", "—", "~", "to ", "or ", "and "} {
		rest, ok := strings.CutPrefix(s, between)
		rest = strings.TrimLeft(rest, " ")
		digits := figures(rest)
		rest = strings.TrimLeft(rest[digits:], " ")
		if unit, _ := unitAt(rest); ok && digits > 0 && unit > 0 {
			return rest
		}
	}
	return s
}

// decimals returns the length of a decimal comma and the digits behind it, where a unit
// follows: ",5" of "1,5 seconds".
func decimals(s string) int {
	if len(s) == 0 || s[0] != ',' {
		return 0
	}
	digits := figures(s[1:])
	rest := strings.TrimLeft(s[1+digits:], " ")
	if unit, _ := unitAt(rest); digits == 0 || unit == 0 {
		return 0
	}
	return 1 + digits
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

// clock reads "1:30", "00:01:30", "0:01:30.5", and "1.02:03:04" of .NET, whose first number is
// days. A time of day is none: "1:30pm", "13:30 UTC".
func clock(s string) (d time.Duration, ok bool) {
	if days, rest, cut := strings.Cut(s, "."); cut && strings.IndexByte(days, ':') < 0 {
		n, _ := positive(days)
		d, s = span(n, day), rest
	}
	end := 0
	for end < len(s) && (s[end] == ':' || figures(s[end:]) > 0) {
		end += max(1, figures(s[end:]))
	}
	rest := strings.TrimLeft(s[end:], " ")
	switch rest[:letters(rest)] {
	case "a", "am", "p", "pm", "z", "utc", "gmt", "pt", "pst", "pdt", "et", "est", "edt", "cet", "cest", "jst", "kst", "cst", "ist":
		return 0, false
	}
	var ofDay time.Duration
	for part := range strings.SplitSeq(strings.TrimRight(s[:end], ":"), ":") {
		n, ok := positive(part)
		if !ok {
			return 0, false
		}
		if ofDay > longestWait/60 {
			return longestWait, true
		}
		ofDay = min(ofDay*60+span(n, time.Second), longestWait)
	}
	return min(d+ofDay, longestWait), true
}

// calendar reads a date, or a time in RFC 3339, also with a space in place of its T, with slashes, without
// a year, without seconds, and without a zone, which is UTC then. The zone may stand apart:
// "2026-11-24 20:00:00 +0800 CST", "… (UTC+8)".
func calendar(s string, now time.Time) (time.Duration, bool) {
	date, rest, _ := strings.Cut(s, " ")
	date = strings.TrimRight(strings.ReplaceAll(date, "/", "-"), ".,;!)\"'")
	ofYear := len(date) == len(time.DateOnly)
	if len(date) == len("01-02") {
		date = now.UTC().Format("2006-") + date
	}
	if len(date) == len(time.DateOnly) { // it has no time yet
		date += "t" + rest
	} else {
		date += " " + rest
	}
	end := strings.IndexFunc(date, func(r rune) bool { return !strings.ContainsRune("0123456789-:.+tz", r) })
	if end < 0 {
		end = len(date)
	}
	word := strings.ToUpper(strings.TrimRight(date[:end], ".:+-"))
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700"} {
		if at, err := time.Parse(layout, word); err == nil {
			return until(at, now)
		}
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if at, err := time.Parse(layout, word); err == nil {
			return until(at.Add(-offset(date[end:])), now)
		}
	}
	if at, err := time.Parse(time.DateOnly, strings.TrimRight(word, "T")); err == nil && ofYear { // a day of a month is a range, too
		return until(at, now)
	}
	return 0, false
}

// offset reads the zone that stands behind a time: " +0800 cst", " (utc+8)", " utc".
func offset(s string) time.Duration {
	s = strings.TrimLeft(s, " (")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "utc"), "gmt")
	if s == "" || s[0] != '+' && s[0] != '-' {
		return 0
	}
	digits := strings.ReplaceAll(s[1:], ":", "")
	end := 0
	for end < min(len(digits), 4) && '0' <= digits[end] && digits[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(digits[:end])
	east := time.Duration(n) * time.Hour
	if end > 2 {
		east = time.Duration(n/100)*time.Hour + time.Duration(n%100)*minute
	}
	if s[0] == '-' {
		return -east
	}
	return east
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

// hanUnits are units in Chinese, Japanese and Korean.
var hanUnits = [...]struct {
	name string
	unit time.Duration
}{
	{"毫秒", time.Millisecond}, {"秒", time.Second}, {"分钟", minute}, {"分", minute},
	{"个小时", time.Hour}, {"小时", time.Hour}, {"個小時", time.Hour}, {"小時", time.Hour}, {"時間", time.Hour}, {"天", day},
	{"个星期", 7 * day}, {"個星期", 7 * day}, {"星期", 7 * day}, {"週間", 7 * day}, {"周", 7 * day}, {"週", 7 * day},
	{"个月", 30 * day}, {"個月", 30 * day}, {"か月", 30 * day}, {"ヶ月", 30 * day},
	{"초", time.Second}, {"분", minute}, {"시간", time.Hour}, {"일", day}, {"주", 7 * day}, {"개월", 30 * day},
}

// unitAt returns the unit that begins s, and the length of its name; 0 is none.
func unitAt(s string) (unit time.Duration, length int) {
	length = letters(s)
	if unit = unitOf(s[:length]); unit > 0 {
		return unit, length
	}
	for _, u := range hanUnits {
		if strings.HasPrefix(s, u.name) {
			return u.unit, len(u.name)
		}
	}
	return 0, length
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
	case "y", "yr", "yrs", "year", "years":
		return 365 * day
	}
	return 0
}
