package simulate

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Calls of a log, in place of those of a mix.

// columns of a log, in this order. A first line without figures is a header.
var columns = []string{"time", "prompt tokens", "output tokens", "max_tokens"}

const (
	// largestCall is the largest figure of tokens that a log may have.
	largestCall = 2_000_000
	// answerPace is how fast an answer is taken to come, in tokens a second, from
	// half a second on.
	answerPace = 50
)

// readCalls reads a log. Its times count from the first of them. An error names
// the line.
func readCalls(r io.Reader) ([]*job, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord, in.TrimLeadingSpace, in.ReuseRecord = -1, true, true
	var jobs []*job
	var times []time.Time
	for first := true; ; first = false {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err // names the line
		}
		if first && isHeader(row) {
			continue
		}
		at, j, err := readCall(row)
		if err != nil {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		jobs, times = append(jobs, j), append(times, at)
	}
	if len(jobs) == 0 {
		return nil, errors.New("no calls: a line is " + strings.Join(columns, ","))
	}
	begin := slices.MinFunc(times, time.Time.Compare)
	for i, j := range jobs {
		j.at = times[i].Sub(begin)
	}
	slices.SortStableFunc(jobs, func(a, b *job) int { return int(a.at - b.at) })
	random := rand.New(rand.NewPCG(6, 6))
	for i, j := range jobs {
		j.index, j.stream = i, random.IntN(2) == 0
		j.takes(random, 500*time.Millisecond+time.Duration(j.output)*time.Second/answerPace)
	}
	return jobs, nil
}

func isHeader(row []string) bool {
	return !strings.ContainsFunc(strings.Join(row, ""), func(r rune) bool { return '0' <= r && r <= '9' })
}

func readCall(row []string) (time.Time, *job, error) {
	if len(row) != len(columns) {
		return time.Time{}, nil, fmt.Errorf("it has %d columns instead of %d: %s", len(row), len(columns), strings.Join(columns, ", "))
	}
	at, err := readTime(row[0])
	if err != nil {
		return at, nil, err
	}
	var n [3]int64
	for i, text := range row[1:] {
		if text = strings.TrimSpace(text); text == "" && i == 2 {
			continue // none is declared
		}
		n[i], err = strconv.ParseInt(text, 10, 64)
		if err != nil || n[i] < 0 || n[i] > largestCall {
			return at, nil, fmt.Errorf("%s: %q is not a number from 0 to %d", columns[i+1], text, largestCall)
		}
	}
	return at, &job{
		words: max(0, int(n[0]-promptOverhead())), charge: n[0], output: max(1, n[1]), cap: n[2],
	}, nil
}

// readTime reads seconds since any moment, or a date.
func readTime(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s < 1e11 {
		return time.Unix(0, 0).Add(time.Duration(s * float64(time.Second))), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", time.DateTime} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time: %q is neither seconds nor a date like 2026-01-31T12:00:00Z", text)
}

// readLimits reads limits such as rpm=600,tpm=200000.
func readLimits(text string) (openaitest.Limits, error) {
	var l openaitest.Limits
	fields := map[string]*int64{"rpm": &l.RPM, "tpm": &l.TPM, "rpd": &l.RPD, "tpd": &l.TPD}
	for part := range strings.SplitSeq(text, ",") {
		name, amount, _ := strings.Cut(strings.TrimSpace(part), "=")
		field := fields[strings.ToLower(name)]
		if field == nil {
			return l, fmt.Errorf("limits: %q is none of rpm=, tpm=, rpd= and tpd=", part)
		}
		n, err := strconv.ParseInt(amount, 10, 64)
		if err != nil || n <= 0 {
			return l, fmt.Errorf("limits: %q is not a positive number", part)
		}
		*field = n
	}
	return l, nil
}

// logged is the scenario of a log.
func logged(calls []*job, l openaitest.Limits) *scenario {
	s := &scenario{name: "log", limits: l, log: calls, processes: 1}
	// Long enough for everybody who gets on at all.
	var cost openaitest.Cost
	for _, j := range calls {
		cost.Requests++
		cost.Tokens += j.serverCost().Tokens
	}
	s.duration = calls[len(calls)-1].at + time.Hour
	for _, limit := range []struct {
		used, amount int64
		period       time.Duration
	}{{cost.Requests, l.RPM, time.Minute}, {cost.Tokens, l.TPM, time.Minute}, {cost.Requests, l.RPD, 24 * time.Hour}, {cost.Tokens, l.TPD, 24 * time.Hour}} {
		if limit.amount > 0 {
			s.duration += time.Duration(3 * float64(limit.used) / float64(limit.amount) * float64(limit.period))
		}
	}
	return s
}

// logTable is what each policy makes of a log.
func (r *result) logTable() *table {
	t := &table{header: []string{
		fmt.Sprintf("%d calls", len(r.scenario.log)), "sent", "429s", "given up", "rejected", "p50 wait", "p99 wait", "longest", "last sent after", "of the tier",
	}}
	for _, x := range r.runs {
		var sent, refusedCalls int
		var longest, last time.Duration
		for _, j := range x.jobs {
			if j.sent() {
				sent++
				longest, last = max(longest, j.waited()), max(last, j.started)
			}
			if j.outcome == refused || j.outcome == failed {
				refusedCalls++
			}
		}
		t.add(x.policy.name, fmt.Sprint(sent), fmt.Sprint(x.refused), fmt.Sprint(len(x.jobs)-sent-refusedCalls), fmt.Sprint(refusedCalls),
			seconds(x.small.p50), seconds(x.small.p99), seconds(longest), last.Round(time.Second).String(), percent(x.ofTier(r.scenario.limits, last)))
	}
	return t
}

// ofTier is how much was used of what the limits had given until then: full buckets,
// and what refilled. It is that of the limit that was used most.
func (f *figures) ofTier(l openaitest.Limits, until time.Duration) float64 {
	part := func(used, limit int64, period time.Duration) float64 {
		if limit == 0 {
			return 0
		}
		return float64(used) / float64(limit) / (1 + float64(until)/float64(period))
	}
	day := 24 * time.Hour
	return max(part(f.requests, l.RPM, time.Minute), part(f.tokens, l.TPM, time.Minute), part(f.requests, l.RPD, day), part(f.tokens, l.TPD, day))
}
