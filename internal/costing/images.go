package costing

import (
	"bytes"
	"strings"
)

// imagery returns the tokens of a request to the image endpoints: of the prompt
// and the images that go with it, and of one image that comes back. DALL·E has
// none. An image costs the same whether asked for alone or with others, its prompt
// included (community.openai.com/t/1381388).
func (r *reader) imagery(f *fields) (input, output int64) {
	if r.isDallE(f) {
		return 0, 0
	}
	if r.at(f.images) {
		r.images(&f.pictures)
	}
	n := clamp(f.n, 1, maxChoices)
	shown := f.pictures.tokens(string(f.fidelity) == "high")
	if f.pictures.unseen {
		r.guess(shown * n)
	}
	output, certain := r.generated(f.size, f.quality, f.framesOf())
	if !certain {
		r.guess(output * n)
	}
	if f.stream {
		output += partialImage * clamp(f.partialImages, 0, maxPartialImages)
	}
	return (r.prompt(f) + shown) * n, output
}

// isDallE reports whether the request is for DALL·E: by the model's name, as Azure's
// deployments spell it too (Dalle3), or where that tells nothing by parameters that
// only DALL·E takes.
func (r *reader) isDallE(f *fields) bool {
	switch {
	case strings.Contains(r.model, "dall-e"), strings.Contains(r.model, "dalle"):
		return true
	case strings.Contains(r.model, "gpt-image"):
		return false
	}
	return f.legacy || string(f.quality) == "standard" || string(f.quality) == "hd"
}

// Each partial image of a stream costs 100 tokens, and there are at most three
// (developers.openai.com, guide Image generation).
const (
	partialImage     = 100
	maxPartialImages = 3
)

// pictures is what the images that a request brings along cost GPT Image models:
// tiles as with [vision], but of the image with its short side scaled to 512. A high
// fidelity adds to it (developers.openai.com, guide Images and vision).
type pictures struct {
	low, extra int64
	unseen     bool
}

func (p *pictures) add(of picture) {
	if of.width <= 0 || of.height <= 0 {
		of, p.unseen = picture{2048, 512}, true
	}
	of.width, of.height = min(of.width, maxPixels), min(of.height, maxPixels)
	p.low += 65 + 129*int64(of.fit(2048).shorten(512).cover(tileSide))
	if of.width == of.height {
		p.extra += 4160
	} else {
		p.extra += 6240
	}
}

func (p *pictures) tokens(high bool) int64 {
	if high {
		return p.low + p.extra
	}
	return p.low
}

// images reads the images of an edit in JSON: a URL, an object with one, or several
// of either.
func (r *reader) images(p *pictures) {
	switch r.peek() {
	case '"':
		p.add(sizeOfURL(r.str()))
	case '{':
		p.add(sizeOfURL(r.imageObject()))
	default:
		if !r.enter('[') {
			return
		}
		for r.more() {
			if r.peek() == '"' {
				p.add(sizeOfURL(r.str()))
			} else {
				p.add(sizeOfURL(r.imageObject()))
			}
		}
	}
}

func (r *reader) imageObject() (url []byte) {
	if !r.enter('{') {
		return nil
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == "image_url" {
			url = r.str()
		} else {
			r.skip()
		}
	}
	return url
}

// generated returns the tokens of one image that is generated.
//
// For gpt-image-1, its mini and 1.5 the guide's table has 272 to 6240; it follows
// the formula below, so sizes that are not in it do too. For later models OpenAI
// gives no formula; its calculator says 7024 for 1024 × 1024 in high quality, less for
// somewhat larger ones, and 12329 for 3584 × 2048 (community.openai.com/t/1379464).
// Other names, such as those of Azure's deployments, follow the table.
//
// Of the qualities above high no figure is published, nor of the frames of an animation:
// each is taken to cost twice the one below it, and frames what an image of all of them
// would. What a response's usage says corrects the rest.
//
// Where the model chooses, the dearest choice counts. Certain is what follows from
// the table.
func (r *reader) generated(size, quality []byte, frames int64) (tokens int64, certain bool) {
	p, sized := parseSize(size)
	if !sized {
		p = picture{1024, 1536}
	}
	side := 16
	certain = sized && frames == 1 && strings.HasPrefix(r.model, "gpt-image-1")
	above := int64(1)
	switch string(quality) {
	case "low":
		side = 64
	case "medium":
		side = 32
	case "high":
	case "xhigh":
		above, certain = 2, false
	case "max":
		above, certain = 4, false
	default:
		certain = false
	}
	if strings.HasPrefix(r.model, "gpt-image-") && !strings.HasPrefix(r.model, "gpt-image-1") {
		const large = 3584 * 2048
		high := int64(7024)
		area := int64(p.width) * int64(p.height) * frames
		if area > 1792*1024 {
			high = 12329
		}
		if frames > 1 && area > large {
			high = high * min(area, maxFramesArea) / large
		}
		return above * high * 16 * 16 / int64(side*side), false
	}
	columns, rows := p.width/side, p.height/side
	return above * frames * int64(columns*rows+rows), certain
}

const (
	// An animation has 9 frames unless the request says otherwise (openai-go v3.96,
	// image.go: "Accepts integers from 2 through 16. Defaults to 9 when omitted").
	defaultFrames, maxFrames = 9, 16
	// maxFramesArea is how many pixels they may have together
	// (docs.apiyi.com, GPT Image 2.6, measured in November 2026).
	maxFramesArea = 8_294_400
)

// framesOf is how many frames an image is to have: 1, but for animations.
func (f *fields) framesOf() int64 {
	switch {
	case f.frames > 1:
		return min(f.frames, maxFrames)
	case string(f.output) == "gif":
		return defaultFrames
	}
	return 1
}

// parseSize reads a size such as 1024x1536.
func parseSize(size []byte) (p picture, ok bool) {
	w, h, _ := bytes.Cut(size, []byte("x"))
	width, okW := parseNumber(w)
	height, okH := parseNumber(h)
	if !okW || !okH || width <= 0 || height <= 0 {
		return picture{}, false
	}
	return picture{int(min(width, maxPixels)), int(min(height, maxPixels))}, true
}
