package simulate

import (
	"image/color"
	"path/filepath"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// The plots show the seconds around a change.
const (
	plotBefore = 90
	plotAfter  = 2*60 - 1
	plotTick   = 30
	// smooth is over how many seconds figures are averaged.
	smooth = 10
)

// plotted are the policies that are shown, and how.
var plotted = []struct {
	policy *policy
	color  color.Color
	width  vg.Length
}{
	{&retries, color.RGBA{R: 0xd9, G: 0x5f, B: 0x02, A: 0xff}, 1},
	{&oracle, color.RGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xff}, 3},
	{&ours, color.RGBA{R: 0x1b, G: 0x5e, B: 0xb0, A: 0xff}, 1.5},
}

// A chart is a figure over time.
type chart struct {
	file, title, unit string
	// of reports false where there is none in that second.
	of func(f *figures, second int) (float64, bool)
}

var charts = []chart{
	{"budget.svg", "Budget used", "1,000 tokens a minute", func(f *figures, second int) (float64, bool) {
		var sum int64
		for _, c := range f.perSecond[second-smooth : second] {
			sum += c.Tokens
		}
		return float64(sum) * 60 / smooth / 1000, true
	}},
	{"queue.svg", "Calls that wait", "calls", func(f *figures, second int) (float64, bool) {
		return float64(f.waiting[second]), true
	}},
	{"waits.svg", "Median wait of the calls that are sent", "seconds", func(f *figures, second int) (float64, bool) {
		var sent []time.Duration
		for _, j := range f.jobs {
			if at := int(j.started / time.Second); j.sent() && at >= second-smooth && at < second {
				sent = append(sent, j.waited())
			}
		}
		return quantile(sent, 0.5).Seconds(), len(sent) > 0
	}},
	{"refusals.svg", "429s", "a second", func(f *figures, second int) (float64, bool) {
		return float64(f.refusals[second]), true
	}},
}

// plots writes the charts of a scenario in which something changes.
func (r *result) plots(dir, after string) error {
	plot.DefaultFont.Variant, plotter.DefaultFont.Variant = "Sans", "Sans"
	for _, c := range charts {
		p := plot.New()
		p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, "seconds after "+after, c.unit
		p.X.Tick.Marker = plot.TickerFunc(everyTick)
		p.Legend.Top = true
		p.Add(plotter.NewGrid())
		for _, style := range plotted {
			lines, err := r.lines(c, style.policy)
			if err != nil {
				return err
			}
			for i, l := range lines {
				l.Color, l.Width = style.color, style.width
				p.Add(l)
				if i == 0 {
					p.Legend.Add(style.policy.name, l)
				}
			}
		}
		if c.file == charts[0].file {
			l, err := r.limitLine()
			if err != nil {
				return err
			}
			p.Add(l)
			p.Legend.Add("limit", l)
		}
		p.Y.Min, p.Y.Max = 0, 1.35*p.Y.Max // the legend has room above
		if err := p.Save(7*vg.Inch, 2.6*vg.Inch, filepath.Join(dir, c.file)); err != nil {
			return err
		}
	}
	return nil
}

// lines are a policy's figures, in pieces where there are none between.
func (r *result) lines(c chart, p *policy) ([]*plotter.Line, error) {
	x, change := r.of(p), int(r.scenario.change/time.Second)
	var pieces []plotter.XYs
	gap := true
	for second := change - plotBefore; x != nil && second <= min(change+plotAfter, len(x.perSecond)-2); second++ {
		y, ok := c.of(&x.figures, second)
		if ok && gap {
			pieces = append(pieces, nil)
		}
		if gap = !ok; ok {
			last := &pieces[len(pieces)-1]
			*last = append(*last, plotter.XY{X: float64(second - change), Y: y})
		}
	}
	var lines []*plotter.Line
	for _, points := range pieces {
		l, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// limitLine is what the limit of tokens was and is.
func (r *result) limitLine() (*plotter.Line, error) {
	was, is := float64(r.scenario.limits.TPM)/1000, float64(r.runs[0].limits.TPM)/1000
	l, err := plotter.NewLine(plotter.XYs{{X: -plotBefore, Y: was}, {Y: was}, {Y: is}, {X: plotAfter, Y: is}})
	if err == nil {
		l.Width, l.Dashes = 0.75, []vg.Length{vg.Points(4), vg.Points(3)}
	}
	return l, err
}

func everyTick(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for x := -plotBefore; float64(x) <= high; x += plotTick {
		if float64(x) >= low {
			ticks = append(ticks, plot.Tick{Value: float64(x), Label: strconv.Itoa(x)})
		}
	}
	return ticks
}
