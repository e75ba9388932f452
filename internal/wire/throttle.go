package wire

import (
	"bytes"
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind is what a throttle calls for.
type Kind uint8

const (
	// Other is an error that says nothing about limits.
	Other Kind = iota
	// RateLimit passes: the call may succeed after a wait.
	RateLimit
	// TooLarge never passes: the call alone exceeds the limit.
	TooLarge
	// Quota is about money: no wait helps.
	Quota
	// SlowDown means that traffic grows too fast, even within the limits.
	SlowDown
	// Unavailable means that the flex tier has no capacity at present.
	Unavailable
	// Overloaded means that the server has too much to do, whoever asks: it says nothing
	// about the caller's limits.
	Overloaded
)

// Dimension is what a throttle is about.
type Dimension uint8

const (
	Unknown Dimension = iota
	Requests
	Tokens
	Images
)

// A Throttle is what an error response says. Bodies seen, with the limit's name
// spelt in several ways over the years:
//
//	Rate limit reached for gpt-4o in organization org-… on tokens per min (TPM):
//	Limit 30000, Used 29446, Requested 821. Please try again in 534ms. Visit …
//	Request too large for gpt-4o … on tokens per min (TPM): Limit 30000, Requested 31538. …
//	Rate limit exceeded for images per minute … Limit: 0/1min. Current: 1/1min.
//	Requests to … have exceeded token rate limit … Please retry after 37 seconds.
//
// Gemini's compatible surface says "You exceeded your current quota" of every limit, and what
// it is in error.details: the quotaId of a QuotaFailure, and a RetryInfo.
type Throttle struct {
	Kind      Kind
	Dimension Dimension
	// Period is a second, a minute or a day, 0 if not said or another.
	Period time.Duration
	// Limit, Used and Requested are -1 if not said.
	Limit, Used, Requested int64
	// RetryAfter is 0 if not said.
	RetryAfter time.Duration
	// Code, Type and Message are the server's words; Message keeps 1 KiB.
	Code, Type, Message string
}

// ParseThrottle reads as much as it can of an error response. h and body may be nil, and
// body may be cut anywhere. Waits that are stated as a date are counted from now.
func ParseThrottle(status int, h http.Header, body []byte, now time.Time) Throttle {
	m := NewMeter(status, "", nil)
	m.Write(body)
	f := m.error()
	if f.empty() {
		f.message = textOf(body)
	}
	r := newThrottle(status, h, f, now)
	if r.RetryAfter == 0 {
		if r.RetryAfter = resetWait(h, now); r.namesPlan() {
			r.Kind = r.kind(status, &f) // a rate, if that is a wait
		}
	}
	return r
}

// textOf returns the beginning of a body that is neither JSON nor a page, or of the strings that
// stand in an array.
func textOf(body []byte) string {
	body = bytes.TrimSpace(body)
	if list, ok := bytes.CutPrefix(body, []byte("[")); ok && bytes.HasPrefix(bytes.TrimSpace(list), []byte(`"`)) {
		body = bytes.TrimSpace(list)
	}
	if len(body) == 0 || bytes.IndexByte([]byte("{[<"), body[0]) >= 0 {
		return ""
	}
	text := clipped(string(body))
	if !utf8.ValidString(text) {
		return ""
	}
	return text
}

// clipped cuts a message to what is kept of one, where a word ends, lest half a number be read
// as a whole one.
func clipped(message string) string {
	if len(message) <= bufferSize {
		return message
	}
	message = message[:bufferSize]
	return message[:max(strings.LastIndexByte(message, ' '), 0)]
}

func newThrottle(status int, h http.Header, f fault, now time.Time) Throttle {
	r := Throttle{
		Code: f.code, Type: f.typ, Message: f.message,
	}
	switch {
	case r.Code == "":
		r.Code = f.hint
	case r.Type == "":
		r.Type = f.hint
	}
	if f.raw != "" {
		f.message = clipped(f.message + ": " + f.raw)
		r.Message = f.message
	}
	text := strings.ToLower(f.message)
	about, used, limit := exceeded(text)
	r.Dimension, r.Period = r.subject(cmp.Or(about, strings.ToLower(r.Message)), first(h, "X-Ratelimit-Type"), &f)
	if r.Limit, _ = figure(text, "limit", "max rpm", "max tpm", "max rpd", "max tpd"); r.Limit < 0 {
		r.Limit = rateIn(text)
	}
	if n, ok := parseCount(f.quotaValue); ok && r.Limit < 0 {
		r.Limit = n
	}
	r.Used, r.Requested = exact(figure(text, "used", "current")), exact(figure(text, "requested"))
	if about != "" {
		r.Used, r.Limit = used, limit
	} else if _, _, one := limitIn(text); !one && f.quotaID == "" || strings.Count(text, " limit: ") > 1 {
		r.Limit, r.Used, r.Requested = -1, -1, -1 // of which limit is not known
	}
	if status >= 400 { // a stream may have begun long ago
		now = serverTime(h, now)
	}
	if r.RetryAfter = r.wait(h, &f, now); r.RetryAfter == 0 && status >= 400 {
		r.RetryAfter = spentWait(h, now)
	}
	if r.Kind = r.kind(status, &f); r.Kind == Overloaded {
		r.Dimension, r.Period = Unknown, 0 // its type may be "requests"
	}
	return r
}

// Stood returns what was used of a limit of this period when it rejected the call. Used
// rounds it to whole units; the wait gives it exactly, if the two agree ("Limit 10000,
// Used 8554, Requested 3082. Please try again in 9.816s"). Limit and Used must be known.
func (r *Throttle) Stood(period time.Duration) float64 {
	used, limit := float64(r.Used), float64(r.Limit)
	exact := limit - float64(r.Requested) + r.RetryAfter.Seconds()*limit/period.Seconds()
	if r.Requested >= 0 && r.RetryAfter > 0 && math.Abs(exact-used) <= 1 {
		return exact
	}
	return used
}

// kinds are what codes and types mean, spelt as [spelt] does, where no part of them says it.
var kinds = map[string]Kind{
	"quotaexceeded":               Quota,
	"creditlimitexceeded":         Quota,
	"allocationquotafreetieronly": Quota, // Alibaba's
	"exceededcurrentquotaerror":   Quota, // Moonshot's
	"arrearage":                   Quota, // Alibaba's
	"setlimitexceeded":            Quota, // Volcengine's, which the user has set
	"tokenquotareached":           Quota, // watsonx's

	"slowdown": SlowDown,

	"resourceunavailable": Unavailable,
	"capacityexceeded":    Unavailable, // Groq's flex tier

	"nocapacity": Overloaded, // Azure's

	"resourceexhausted": RateLimit, // Google's status
	"429":               RateLimit,
}

// spelt returns a code or a type without case and what separates its words: hosts write
// rate_limit_exceeded, RateLimitExceeded and rate-limit-exceeded.
func spelt(word string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r == ' ' {
			return -1
		}
		return unicode.ToLower(r)
	}, word)
}

// kindOf returns what a code or a type means, or Other.
func kindOf(word string) Kind {
	word = spelt(word)
	k, known := kinds[word]
	switch {
	case known:
		return k
	case contains(word, "billing", "overdue", "pastdue", "spendlimit", "spendinglimit", "spendcap", "spendingcap", "budgetexceeded", "budgetlimit", "budgetreached",
		"outofcredit", "nocredit", "hardlimitreached", "hardlimitexceeded",
		"subscriptionexpired", "subscriptioninactive", "trialexpired", "trialended", "accountdeactivated", "accountterminated", "accessterminated"),
		strings.HasSuffix(word, "usagelimitexceeded"),
		contains(word, "insufficient", "notenough") && contains(word, "quota", "balance", "credit", "fund"),
		contains(word, "exhausted", "depleted") && contains(word, "balance", "credit", "fund", "budget"):
		return Quota
	case strings.Contains(word, "overload"):
		return Overloaded
	case strings.Contains(word, "burst"): // Alibaba's and Volcengine's
		return SlowDown
	case contains(word, "ratelimit", "requestlimit", "toomanyrequests", "throttl"):
		return RateLimit
	}
	return Other
}

// What the messages of errors without a code say of money, also in words that a message about a
// rate may have by way of advice, of what may be a month's plan or a moment's burst (which is a
// rate if they say a wait), of a server's load, of rates, and of traffic that grows too fast.
var (
	moneyWords = []string{"insufficient_quota", "insufficient quota", "spend limit", "spending limit", "spend cap", "spending cap",
		"credit balance", "insufficient balance", "insufficient credits", "billing hard limit", "account is not active",
		"budget has been exceeded", "api usage limits", "key limit exceeded", "any credits", "out of credits", "credits are depleted",
		"out of funds",
		"not enough credits", "not enough balance", "balance is insufficient", "quota is not enough", "insufficient account balance",
		"free allocated quota", "free allocation", "for this billing cycle", "no credits",
		"included credits", "credit limit exceeded", "package has expired", "plan has expired",
		"make sure your account is in good standing", "overdue account", "plan does not yet include access", "plan does not include access",
		"budget exceeded", "exceeded its budget", "exceeded budget", "over budget", "enter a payment method", "payment method is required",
		"余额不足", "额度不足", "额度已用尽", "额度已用完", "额度耗尽", "预扣费额度", "欠费", "请充值", "资源包", "套餐已到期"}
	spentWords = []string{"monthly budget", "weekly budget", "daily budget", "budget cap", "budget limit exceeded", "budget limit reached", "spending budget", "hit its budget", "hit your budget", "hit the budget",
		"reached its budget", "reached your budget", "reached the budget",
		"exceeded its credit limit", "exceeded your credit limit", "exceeded the credit limit", "reached its credit limit", "reached your credit limit", "credit limit reached",
		"balance is zero", "balance is 0", "balance is negative", "balance is empty", "balance is exhausted", "zero balance", "negative balance",
		"account is past due", "balance is past due", "invoice is past due", "payment is past due", "past due invoice", "402 payment required",
		"subscription has expired", "subscription expired", "trial has expired", "trial expired", "trial has ended",
		"account has been deactivated", "account is deactivated", "account has been terminated", "余额为零", "余额为0"}
	monthWords = []string{"extra usage", "limit for the month", "limit for this month", "quota for the month", "quota for this month",
		"account is suspended", "account has been suspended", "monthly usage limit", "weekly usage limit", "session usage limit", "monthly limit", "monthly quota", "calls / month", "requests per month", "tokens per month",
		"credits exhausted", "credits have been exhausted", "balance exhausted", "balance has been exhausted"}
	loadWords = []string{"overload", "high demand", "high load", "high traffic", "heavy load", "heavy traffic",
		"at capacity", "at maximum capacity", "over capacity", "out of capacity", "no capacity", "insufficient capacity", "queue is full", "capacity exceeded", "capacity temporarily exceeded", "capacity limits", "load is saturated",
		"processing too many requests", "temporarily unable to process",
		"too busy", "is busy", "model busy", "server busy", "pending requests exceeded",
		"servers are busy", "访问量过大", "负载", "繁忙", "算力不足"}
	rateWords = []string{"rate limit", "rate-limit", "ratelimit", "request limit", "too many requests", "throttl", "qps",
		"限流", "限频", "限速", "流控", "速率限制", "频率", "频繁", "并发数", "请求过多"}
	growthWords = []string{"acceleration limit", "usage increase rate", "more gradually", "rate increased too", "growing too fast"}
)

// allocated is how Alibaba tells its limit on tokens per minute from an account that has
// nothing left, whose code and words it has too: by its own words, or the page it refers to.
var allocated = []string{"allocated quota exceeded", "error-code#token-limit"}

const (
	statusFlex       = 498 // Groq's flex tier has no capacity
	statusOverloaded = 529 // Anthropic's, and of others after it
)

// kind goes by the code, then the type, then the status and the message: proxies that
// rewrite a body tend to keep the code.
func (r *Throttle) kind(status int, f *fault) Kind {
	word := kindOf(r.Code)
	if k := kindOf(r.Type); word == Other || word == RateLimit && k != Other {
		word = k
	}
	text := strings.ToLower(r.Message)
	if word == Quota && contains(text, allocated...) {
		word = RateLimit
	}
	if word != Other && word != RateLimit {
		return word
	}
	unpaid := status == http.StatusPaymentRequired || r.Code == "402" ||
		strings.Contains(spelt(r.Code+" "+r.Type), "paymentrequired") || strings.TrimRight(text, " .!") == "payment required"
	rate := word == RateLimit || status == http.StatusTooManyRequests ||
		unpaid && r.RetryAfter > 0 || // what is under way will have been paid for by then, as OpenRouter says
		status == http.StatusForbidden && r.RetryAfter > 0 || // of API Management, Google and GitHub
		(status < 400 || status == http.StatusForbidden) && // the status does not say it
			(contains(text, rateWords...) || contains(text, "limit") && (r.Period > 0 || r.RetryAfter > 0))
	switch {
	case unpaid && r.RetryAfter == 0:
		return Quota
	case (contains(text, spentWords...) || r.namesPlan() && r.RetryAfter == 0 && (rate || status == http.StatusForbidden || status < 400)) &&
		!speaksOfRate(text) && r.Period == 0 && !r.surelyRate(text):
		return Quota
	case strings.Contains(text, "exceeded your current quota") && !f.detailed && !r.namesRate() && r.Period == 0 && r.RetryAfter == 0 && !contains(text, allocated...),
		(contains(text, moneyWords...) || contains(text, monthWords...) && r.RetryAfter == 0) && !r.surelyRate(text):
		return Quota
	case status == statusFlex:
		return Unavailable
	case status == statusOverloaded, r.Code == "529",
		r.Limit < 0 && (rate || status >= 500 || status < 400) && contains(text, loadWords...),
		!rate && (status == http.StatusServiceUnavailable || r.Code == "503") && r.RetryAfter > 0:
		return Overloaded
	case !rate:
		return Other
	case strings.HasPrefix(text, "request too large"), status == http.StatusRequestEntityTooLarge && r.Requested < 0,
		r.Limit >= 0 && r.Requested > r.Limit && r.Dimension != Requests, r.Limit == 0 && r.Dimension != Unknown:
		return TooLarge
	case contains(text, growthWords...):
		return SlowDown
	}
	return RateLimit
}

// namesRate reports whether the code or the type is that of a rate, which neither a status in
// its place nor the throttling_error of LiteLLM's proxy is: it says so of an empty account too.
// Google's status may stand in what a gateway quotes.
func (r *Throttle) namesRate() bool {
	return contains(spelt(r.Code+" "+r.Type), "ratelimit", "resourceexhausted") || strings.Contains(r.Message, "RESOURCE_EXHAUSTED")
}

// namesPlan reports whether the code or the type may be that of a plan which is used up, or of one
// with limits of hours, which says when it goes on.
func (r *Throttle) namesPlan() bool {
	for _, word := range [...]string{r.Code, r.Type} {
		word = strings.TrimSuffix(spelt(word), "error")
		if word == "quotaexhausted" || strings.HasSuffix(word, "usagelimitreached") || strings.HasSuffix(word, "usagelimit") ||
			contains(word, "costlimit", "planlimit", "monthlyquota", "monthlylimit", "monthlyusage", "accountsuspended") {
			return true
		}
	}
	return false
}

// speaksOfRate reports whether a message says that it is about a rate, so that what it says of
// money is advice.
func speaksOfRate(text string) bool {
	return contains(text, "rate limit", "rate-limit", "request limit", "too many requests", "throttl")
}

// surelyRate reports whether a message is about a rate whatever it says of money, as by
// way of advice: it has the figures of one, or says so as the code does.
func (r *Throttle) surelyRate(text string) bool {
	return r.Limit >= 0 && r.Used >= 0 || strings.Contains(text, "rate limit") && strings.Contains(spelt(r.Code+" "+r.Type), "ratelimit")
}

func contains(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(s string) bool { return strings.Contains(text, s) })
}

// subject finds what the throttle is about. The message comes first: the type of
// a throttle about images or requests per day is "requests" too. azure is the
// x-ratelimit-type header.
func (r *Throttle) subject(text, azure string, f *fault) (Dimension, time.Duration) {
	if d, period := subjectOf(f.quotaID); d != Unknown {
		return d, period
	}
	if d, period := bucketIn(text); d != Unknown {
		return d, period
	}
	if d, period, one := limitIn(text); one && d != Unknown {
		return d, period
	}
	switch {
	case r.Type == "tokens", strings.EqualFold(azure, "tokens"),
		strings.Contains(text, "token rate limit"):
		return Tokens, 0
	case r.Type == "requests", strings.EqualFold(azure, "requests"),
		strings.Contains(text, "call rate limit"):
		return Requests, 0
	}
	return Unknown, 0
}

// exceeded returns the name of the one limit that is reached among those that xAI lists, and its
// figures: "Requests per Second (actual/limit): 3/2, Tokens per Minute (actual/limit): 10/6000".
func exceeded(text string) (name string, used, limit int64) {
	const mark = "(actual/limit): "
	parts := strings.Split(text, mark)
	for i, rest := range parts[1:] {
		u, l := exact(figure("used "+rest, "used")), exact(figure(rest, "/"))
		if u < l || l < 0 {
			continue
		}
		if name != "" {
			return "", u, l // several are, so that none counts
		}
		before := parts[i]
		name, used, limit = before[strings.LastIndexAny(before, ",:—")+1:], u, l
	}
	return name, used, limit
}

// limitIn finds the limit that a message, in lower case, is about. one is false where it
// speaks of several: LiteLLM's "Crossed TPM / RPM / Max Parallel Request Limit". Beside a name
// at length a short one counts for nothing: "10KTPM-200RPM" was a bucket of OpenAI's.
func limitIn(text string) (d Dimension, period time.Duration, one bool) {
	one = true
	found := func(dimension Dimension, of time.Duration) {
		one = one && (d == Unknown || d == dimension && period == of)
		d, period = dimension, of
	}
	for _, l := range limitWords {
		if strings.Contains(text, l.words) {
			found(l.dimension, minute)
		}
	}
	for _, c := range countedWords {
		for rest := text; ; {
			var ok bool
			if _, rest, ok = strings.Cut(rest, c.word); !ok {
				break
			}
			if period := periodIn(rest); period > 0 {
				found(c.dimension, period)
			}
		}
	}
	if d != Unknown {
		return d, period, one
	}
	for _, l := range limitNames {
		if _, _, ok := cutWord(text, l.name); ok {
			found(l.dimension, l.period)
		}
	}
	return d, period, one
}

// limitWords are what LiteLLM calls limits, which are of a minute.
var limitWords = [...]struct {
	words     string
	dimension Dimension
}{
	{"limit type: requests", Requests}, {"limit type: tokens", Tokens},
}

// countedWords are what limits count.
var countedWords = [...]struct {
	word      string
	dimension Dimension
}{
	{"token", Tokens}, {"request", Requests}, {"image", Images}, {"call", Requests}, {"quer", Requests},
}

// periodIn reads a period behind what it counts: "s per min", " / day", "ies every 60 seconds".
func periodIn(s string) time.Duration {
	for _, plural := range [...]string{"s", "ies", "y"} {
		if rest, ok := strings.CutPrefix(s, plural); ok {
			s = rest
			break
		}
	}
	s = strings.TrimLeft(s, " _-")
	for _, per := range [...]string{"per", "/", "every", "each", "a"} {
		rest, ok := strings.CutPrefix(s, per)
		if !ok {
			continue
		}
		rest = strings.TrimLeft(rest, " _-")
		period, counted := spoken(rest, time.Time{}, 0)
		if !counted {
			period = unitOf(rest[:letters(rest)])
		}
		if period == time.Second || period == minute || period == day {
			return period
		}
	}
	return 0
}

// limitNames are what limits are called for short.
var limitNames = [...]struct {
	name      string
	dimension Dimension
	period    time.Duration
}{
	{"tpm", Tokens, minute}, {"rpm", Requests, minute}, {"ipm", Images, minute}, {"tpd", Tokens, day}, {"rpd", Requests, day},
	{"rps", Requests, time.Second}, {"qps", Requests, time.Second},
}

// cutWord is [strings.Cut] around a whole word.
func cutWord(s, word string) (before, after string, ok bool) {
	for at := 0; ; at++ {
		i := strings.Index(s[at:], word)
		if i < 0 {
			return s, "", false
		}
		at += i
		before, after = s[:at], s[at+len(word):]
		if letters(after) == 0 && (at == 0 || letters(s[at-1:at]) == 0) {
			return before, after, true
		}
	}
}

// subjectOf reads Google's quotaId: "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
// "GenerateContentInputTokensPerModelPerDay".
func subjectOf(quotaID string) (d Dimension, period time.Duration) {
	id := strings.ToLower(quotaID)
	switch {
	case strings.Contains(id, "token"):
		d = Tokens
	case strings.Contains(id, "image"):
		d = Images
	case strings.Contains(id, "request"):
		d = Requests
	}
	switch {
	case strings.Contains(id, "perday"):
		period = day
	case strings.Contains(id, "perminute"):
		period = minute
	}
	return d, period
}

// wait returns the most precise wait there is: milliseconds in the header, then the
// message, then a member of the body, then seconds in the header.
func (r *Throttle) wait(h http.Header, f *fault, now time.Time) time.Duration {
	if d, ok := retryAfterMS(h); ok && d > 0 {
		return d
	}
	if d, ok := waitIn(r.Message, now); ok {
		return d
	}
	if d, ok := retryAfter(strings.TrimSpace(f.wait), now); ok && d > 0 {
		return d
	}
	d, _ := RetryAfter(h, now)
	return d
}

// figure finds the number after the first of these words that has one: "limit 30000",
// "limit: 3 / min", "limit: 0/1min". Without one it is -1.
func figure(s string, words ...string) (n int64, rounded bool) {
	for _, word := range words {
		for rest := s; ; {
			var ok bool
			if _, rest, ok = cutWord(rest, word); !ok {
				break
			}
			if n, _, rounded, ok = countAt(strings.TrimLeft(rest, ":= ~")); ok {
				return n, rounded
			}
		}
	}
	return -1, false
}

// exact is a figure, unless it is rounded: what was used is compared with ours.
func exact(n int64, rounded bool) int64 {
	if rounded {
		return -1
	}
	return n
}

// countAt reads the count at the beginning of s, in lower case, as a whole: "30,000", "1e+06", which
// is how Go writes a float, and "30k", which is rounded. length is that of what was read.
func countAt(s string) (n int64, length int, rounded, ok bool) {
	length = figures(s)
	after := s[length:]
	if unit := abbreviations[after[:letters(after)]]; unit > 0 {
		f, ok := positive(strings.ReplaceAll(s[:length], ",", ""))
		return int64(min(f*unit, maxCount)), length + 1, true, ok
	}
	if len(after) > 1 && after[0] == 'e' && strings.IndexByte("+-0123456789", after[1]) >= 0 {
		length += 2 + figures(after[2:])
	}
	if separated := strings.TrimLeft(s[length:], " _\u00a0\u202f"); separated != s[length:] && figures(separated) > 0 {
		return 0, 0, false, false // "30 000"
	}
	n, ok = parseCount(s[:length])
	return n, length, false, ok
}

// abbreviations may stand behind a rounded count.
var abbreviations = map[string]float64{"k": 1e3, "m": 1e6, "b": 1e9}

// bucketIn reads the name of a bucket of GitHub's, and of Azure's for the models of others:
// "exceeded for UserByModelByDay", "… UserByMinute", "… UserByModelByMinuteTokens".
func bucketIn(text string) (d Dimension, period time.Duration) {
	_, name, _ := strings.Cut(text, "exceeded for user")
	name = name[:letters(name)]
	switch {
	case strings.Contains(name, "byday"):
		period = day
	case strings.Contains(name, "byminute"):
		period = minute
	default:
		return d, period
	}
	if strings.Contains(name, "token") {
		return Tokens, period
	}
	return Requests, period
}

// rateIn finds a limit that stands before its period: "rate limit of 8 per 86400s", "limited to
// 20 requests per minute". Without one it is -1. One of input or of output tokens alone is no
// limit of ours.
func rateIn(text string) int64 {
	if contains(text, "inputtokens", "outputtokens") { // bucketIn's
		return -1
	}
	for _, words := range [...]string{"limit of ", "limited to ", "limit is "} {
		_, rest, _ := strings.Cut(text, words)
		count, n, _, ok := countAt(rest)
		unit := strings.TrimPrefix(strings.TrimLeft(rest[n:], " "), "api ")
		if ok && strings.HasPrefix(unit, "per ") {
			return count
		}
		for _, c := range countedWords {
			if after, counts := strings.CutPrefix(unit, c.word); ok && counts && periodIn(after) > 0 {
				return count
			}
		}
	}
	return -1
}
