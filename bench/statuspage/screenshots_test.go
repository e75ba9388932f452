package statuspage

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "write screenshots to this directory")

// The scene shows all that the page can, in both colour schemes and on a phone.
func TestScreenshots(t *testing.T) {
	h := scene(t)
	for _, shot := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"light", "light", 1080, 820},
		{"dark", "dark", 1080, 820},
		{"phone", "light", 375, 820},
	} {
		t.Run(shot.name, func(t *testing.T) {
			b := open(t, h, shot.width, shot.height)
			b.media("prefers-color-scheme", shot.scheme, "prefers-reduced-motion", "reduce")
			if *screenshots != "" {
				get[bool](b, `document.querySelector(".flows").open = `+row("gpt-5.4-mini")+`.firstChild.open = true`)
				b.until(`document.querySelector(".flows td") !== null && document.querySelector(".more") !== null`)
				b.shoot(filepath.Join(*screenshots, "statuspage-"+shot.name+".png"))
			}
		})
	}
}

// shoot writes what the window shows.
func (b *tab) shoot(path string) {
	b.t.Helper()
	data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		data, err = smaller(data)
	}
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// apart is by how much colours differ at most in red, green or blue, of 255.
func apart(a, b color.Color) int {
	x, y := color.RGBAModel.Convert(a).(color.RGBA), color.RGBAModel.Convert(b).(color.RGBA)
	far := func(m, n uint8) int { return max(int(m)-int(n), int(n)-int(m)) }
	return max(far(x.R, y.R), far(x.G, y.G), far(x.B, y.B))
}

// smaller is a picture in 256 colours at most, the frequent ones first.
func smaller(data []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bounds := full.Bounds()
	count := map[color.RGBA]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	var palette color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	}) {
		if len(palette) < 256 && (len(palette) == 0 || apart(palette[palette.Index(c)], c) > 8) {
			palette = append(palette, c)
		}
	}
	few := image.NewPaletted(bounds, palette)
	draw.Draw(few, bounds, full, bounds.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}
