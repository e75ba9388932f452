package simulate

import (
	_ "embed"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// overviewFile is the picture of the README: what the server sees of the SDK's retries
// alone, and of ours, around a change.
const overviewFile = "overview.svg"

//go:embed overview.svg.tmpl
var overviewText string

// Where things stand in it, in its own units.
const (
	overviewTop, overviewLeft     = 100, 124
	overviewAcross, overviewDown  = 352, 88 // from one chart to the next
	overviewWidth, overviewHeight = 322, 62 // of a chart
	overviewRight, overviewBottom = 22, 34  // of the last one
)

// A strip is a row of the picture: a figure over time, for each policy.
type strip struct {
	title, unit, class string
	of                 func(f *figures) []float64 // for each second
}

var strips = []strip{
	{"Budget used", "tokens a minute", "used", func(f *figures) []float64 {
		return perSecond(f, func(second int) float64 { return float64(f.perSecond[second].Tokens) * 60 })
	}},
	{"429s", "a second", "bad", func(f *figures) []float64 {
		return perSecond(f, func(second int) float64 { return float64(f.refusals[second]) })
	}},
	{"Calls given up", "a second", "bad", func(f *figures) []float64 {
		lost := make([]float64, len(f.perSecond))
		for _, j := range f.jobs {
			if second := int(j.ended / time.Second); (j.outcome == givenUp || j.outcome == failed) && second < len(lost) {
				lost[second]++
			}
		}
		return perSecond(f, func(second int) float64 { return lost[second] })
	}},
}

// perSecond is a figure averaged over the seconds before each.
func perSecond(f *figures, of func(second int) float64) []float64 {
	smoothed := make([]float64, len(f.perSecond))
	for second := smooth; second < len(smoothed); second++ {
		for back := range smooth {
			smoothed[second] += of(second-back) / smooth
		}
	}
	return smoothed
}

// What the template is given.
type (
	overview struct {
		Width, Height, Change int
		Alt                   string
		Columns               []column
		Rows                  []stripRow
		Ticks                 []tick
	}
	column struct {
		X             int
		Title, Result string
	}
	stripRow struct {
		Y                    int
		Title, Unit, Highest string
		Charts               []drawing
	}
	drawing struct {
		X, Y, Width, Height int
		Class, Area, Line   string
		Limit               string // empty where there is none
	}
	tick struct {
		X, Y int
		Text string
	}
)

// overview writes the picture, if both policies have played.
func (r *result) overview(dir string) error {
	both := []struct {
		policy *policy
		title  string
	}{{&retries, "The SDK's retries alone"}, {&ours, "With the limiter"}}
	change := int(r.scenario.change / time.Second)
	o := overview{
		Width:  overviewLeft + (len(both)-1)*overviewAcross + overviewWidth + overviewRight,
		Height: overviewTop + (len(strips)-1)*overviewDown + overviewHeight + overviewBottom,
		Change: plotBefore * overviewWidth / (plotBefore + plotAfter),
	}
	var said []string
	for i, b := range both {
		x := r.of(b.policy)
		if x == nil {
			return nil
		}
		c := column{overviewLeft + i*overviewAcross, b.title,
			fmt.Sprintf("429s: %s/1,000 attempts; given up: %s/1,000 calls", ofThousand(x.refusedPerThousand()), ofThousand(x.givenUpPerThousand()))}
		o.Columns = append(o.Columns, c)
		said = append(said, c.Title+": "+c.Result)
	}
	o.Alt = strings.Join(said, ". ") + "."
	for i, s := range strips {
		y := overviewTop + i*overviewDown
		highest := 0.0
		if i == 0 {
			highest = float64(r.scenario.limits.TPM)
		}
		values := make([][]float64, len(both))
		for k, b := range both {
			all := s.of(&r.of(b.policy).figures)
			values[k] = all[change-plotBefore : min(change+plotAfter+1, len(all)-1)]
			for _, v := range values[k] {
				highest = max(highest, v)
			}
		}
		highest = roundUp(highest)
		row := stripRow{Y: y, Title: s.title, Unit: s.unit, Highest: grouped(int64(highest))}
		for k := range both {
			d := drawing{X: o.Columns[k].X, Y: y, Width: overviewWidth, Height: overviewHeight, Class: s.class}
			d.Line = outline(values[k], highest)
			end := position(len(values[k])-1, 0, highest)
			d.Area = fmt.Sprintf("M0,%d L%s L%s Z", overviewHeight, strings.TrimPrefix(d.Line, "M"), end)
			if i == 0 {
				d.Limit = r.limitPath(highest)
			}
			row.Charts = append(row.Charts, d)
		}
		o.Rows = append(o.Rows, row)
	}
	for _, c := range o.Columns {
		for second := -2 * plotTick; second < plotAfter; second += 2 * plotTick {
			text := fmt.Sprintf("%+d s", second)
			if second == 0 {
				text = "limit halved"
			}
			o.Ticks = append(o.Ticks, tick{c.X + (second+plotBefore)*overviewWidth/(plotBefore+plotAfter), o.Height - 14, text})
		}
	}
	return execute(overviewText, o, filepath.Join(dir, overviewFile))
}

// limitPath is the limit of tokens before and after the change.
func (r *result) limitPath(highest float64) string {
	var values []float64
	for second := -plotBefore; second <= plotAfter; second++ {
		limit := r.scenario.limits
		if second >= 0 {
			limit = openaitest.Limits{TPM: r.runs[0].limits.TPM}
		}
		values = append(values, float64(limit.TPM))
	}
	return outline(values, highest)
}

// outline draws one value a second.
func outline(values []float64, highest float64) string {
	points := make([]string, len(values))
	for i, v := range values {
		points[i] = position(i, v, highest)
	}
	return "M" + strings.Join(points, " ")
}

func position(second int, value, highest float64) string {
	x := float64(second) * overviewWidth / (plotBefore + plotAfter)
	return fmt.Sprintf("%.1f,%.1f", x, overviewHeight*(1-value/highest))
}

// roundUp is the next number with one digit that is not zero, or half of one more.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))) / 2
	return math.Ceil(v/unit) * unit
}

// grouped writes a number with commas.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
