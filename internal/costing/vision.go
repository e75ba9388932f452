package costing

import (
	"math"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// A picture is an image's size in pixels; the zero value is not known. Sizes are
// known of images within the request. Remote ones are not fetched: they cost the
// most that an image of the given detail can.
type picture struct{ width, height int }

// maxPixels bounds the sides of a picture. No format that is taken has more, but a
// header can claim anything.
const maxPixels = 1 << 16

// vision is how a model charges the images it is shown (developers.openai.com,
// guide Images and vision, Calculating costs).
//
// A model with tiles scales an image to fit 2048 × 2048, then its short side to 768,
// and charges base + tile for each 512 × 512 that covers it; low detail costs base.
//
// A model with patches scales it to fit side × side, then until patches of 32 × 32
// that cover it are within budget, and charges hundredths/100 for each; low detail
// fits 512 × 512. The newest have a detail "original", with a budget and a side of
// its own, which for some is what "auto" means.
type vision struct {
	base, tile int64

	hundredths     int64 // 0 for a model with tiles
	budget, side   int
	originalBudget int
	originalSide   int
	autoOriginal   bool

	unknown bool // another model's rule, for want of its own
}

const (
	tileSide  = 512
	patchSide = 32
	lowSide   = 512
)

var (
	tiles85    = vision{base: 85, tile: 170}
	unknown    = vision{base: 85, tile: 170, unknown: true}
	patches100 = vision{hundredths: 100, budget: 1536, side: 2048}
	patches162 = vision{hundredths: 162, budget: 1536, side: 2048}
	patches172 = vision{hundredths: 172, budget: 1536, side: 2048}
	patches246 = vision{hundredths: 246, budget: 1536, side: 2048}

	original     = vision{hundredths: 100, budget: 2500, side: 2048, originalBudget: 10_000, originalSide: 6000}
	autoOriginal = vision{hundredths: 100, budget: 2500, side: 2048, originalBudget: 10_000, originalSide: 6000, autoOriginal: true}
	unlimited    = vision{hundredths: 100, budget: 2500, side: 2048, originalSide: maxPixels, autoOriginal: true}

	// visionModels are tried in order.
	visionModels = []struct {
		prefix string
		vision vision
	}{
		{"gpt-4o-mini", vision{base: 2833, tile: 5667}},
		{"gpt-4.1-mini", patches162},
		{"gpt-4.1-nano", patches246},
		{"gpt-4", tiles85},
		{"chatgpt-4o", tiles85},
		{"o4-mini", patches172},
		{"o1", vision{base: 75, tile: 150}},
		{"o3", vision{base: 75, tile: 150}},
		{"computer-use-preview", vision{base: 65, tile: 129}},
		{"gpt-5-mini", patches162},
		{"gpt-5-nano", patches246},
		{"gpt-5.1-codex-mini", patches162},
		{"gpt-5-codex-mini", patches162},
		{"gpt-5.1-codex", patches100},
		{"gpt-5-codex", patches100},
		{"gpt-5.1", vision{base: 70, tile: 140}},
		{"gpt-5.2", patches100},
		{"gpt-5.3", patches100},
		{"gpt-5.4-mini", patches162},
		{"gpt-5.4-nano", patches246},
		{"gpt-5.4", original},
		{"gpt-5.5", autoOriginal},
		{"gpt-5.", unlimited}, // 5.6, and what comes after
		{"gpt-5", vision{base: 70, tile: 140}},
		{"gpt-6", unlimited},
	}
)

// visionOf returns the rule for a model, given its base name. A name that is newer than
// the table gets that of the newest of its family; any other that is unknown, such as
// those of Azure's deployments, the rule of gpt-4o, which most models shared.
func visionOf(model string) vision {
	for _, name := range [...]string{model, tokens.Lookup(model).Name} {
		for _, m := range visionModels {
			if strings.HasPrefix(name, m.prefix) {
				return m.vision
			}
		}
	}
	return unknown
}

// image returns the tokens of an image that is shown, at most what the context
// holds. Certain is what follows from a size and a model that are known; a header
// that claims more than any budget pays for has only itself to say so.
func (r *reader) image(p picture, detail []byte) int64 {
	if r.context == 0 { // the first image
		r.vision, r.context = visionOf(r.model), mostContext
		if context, _, ok := Bounds(r.model); ok {
			r.context = context
		}
	}
	n := min(r.vision.tokens(p, detail), r.context)
	if p == (picture{}) || r.vision.unknown {
		return r.guess(n)
	}
	r.guess(max(0, n-int64(original.originalBudget)))
	return n
}

// tokens returns what an image costs. Where the model chooses the detail (auto, or
// none given), it is taken to be high.
func (v *vision) tokens(p picture, detail []byte) int64 {
	known := p.width > 0 && p.height > 0
	p.width, p.height = min(p.width, maxPixels), min(p.height, maxPixels)
	low := string(detail) == "low"
	if v.hundredths == 0 {
		switch {
		case low:
			return v.base
		case !known:
			p = picture{2048, 768}
		}
		p = p.fit(2048).shorten(768)
		return v.base + v.tile*int64(p.cover(tileSide))
	}

	budget, side := v.budget, v.side
	switch {
	case low:
		budget, side = lowSide/patchSide*lowSide/patchSide, lowSide
	case v.originalSide > 0 && (string(detail) == "original" || v.autoOriginal && string(detail) != "high"):
		budget, side = v.originalBudget, v.originalSide
	}
	patches := budget
	switch {
	case known:
		patches = p.fit(side).patches(budget)
	case budget == 0:
		patches = original.originalBudget // without a bound there is no worst case
	}
	return (int64(patches)*v.hundredths + 99) / 100
}

// fit scales the picture down until neither side is longer than side.
func (p picture) fit(side int) picture {
	return p.scale(float64(side) / float64(max(p.width, p.height)))
}

// shorten scales the picture down until its short side is at most side.
func (p picture) shorten(side int) picture {
	return p.scale(float64(side) / float64(min(p.width, p.height)))
}

// scale rounds to the nearest pixel. That images of 2049 × 513 cost eight tiles and
// of 2050 × 513 four was measured (community.openai.com/t/1281361), and also that
// small ones are not scaled up.
func (p picture) scale(by float64) picture {
	if by >= 1 {
		return p
	}
	return picture{
		width:  max(1, int(math.Round(float64(p.width)*by))),
		height: max(1, int(math.Round(float64(p.height)*by))),
	}
}

// cover returns how many squares of the given side cover the picture.
func (p picture) cover(side int) int {
	return ((p.width + side - 1) / side) * ((p.height + side - 1) / side)
}

// patches returns how many patches cover the picture once it is within the budget;
// a budget of 0 has no bound. The steps are those of the guide: shrink the area to
// the budget, then on until one side is whole patches.
func (p picture) patches(budget int) int {
	n := p.cover(patchSide)
	if budget == 0 || n <= budget {
		return n
	}
	w, h := float64(p.width)/patchSide, float64(p.height)/patchSide
	shrink := math.Sqrt(float64(budget) / (w * h))
	w, h = w*shrink, h*shrink
	if math.Floor(w)/w < math.Floor(h)/h {
		w, h = math.Floor(w), h*math.Floor(w)/w
	} else {
		w, h = w*math.Floor(h)/h, math.Floor(h)
	}
	return min(max(1, int(math.Ceil(w)))*max(1, int(math.Ceil(h))), budget)
}
