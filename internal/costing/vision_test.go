package costing

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func TestVision(t *testing.T) {
	for _, test := range []struct {
		model         string
		width, height int
		detail        string
		want          int64
	}{
		// The guide's examples, for tiles and for patches.
		{"gpt-4o", 1024, 1024, "high", 765},
		{"gpt-4o", 2048, 4096, "high", 1105},
		{"gpt-4o", 4096, 8192, "low", 85},
		{"gpt-4.1-mini-2025-04-14", 1024, 1024, "high", 1659}, // 1024 × 1.62
		{"gpt-5.2", 1800, 2400, "high", 1452},
		{"gpt-5.6", 1800, 2400, "", 4275},
		// Billed by the API, less text: community.openai.com/t/1281361, 1230130, 1262691.
		{"gpt-4.1", 2049, 513, "", 1453 - 8},
		{"gpt-4.1", 2050, 513, "", 773 - 8},
		{"gpt-4.1", 1800, 2400, "", 773 - 8},
		{"gpt-4.1-mini", 4000, 1474, "", 2489}, // 1536 × 1.62
		{"gpt-4.1-mini", 2400, 1800, "", 2353}, // 1452 × 1.62
		{"gpt-4o", 128, 64, "high", 255},
		{"gpt-4o-mini", 128, 64, "high", 8500},
		{"gpt-4o-mini", 128, 64, "low", 2833},
		{"o3", 128, 64, "high", 225},
		{"gpt-4.1-mini", 128, 64, "low", 13},
		{"gpt-4.1-nano", 128, 64, "low", 20},
		{"gpt-5-nano", 128, 64, "high", 20},
		{"o4-mini", 128, 64, "high", 14},
		// One unknown, the worst case.
		{"gpt-4o", 0, 0, "high", 85 + 8*170},
		{"gpt-4o", 0, 0, "", 85 + 8*170},
		{"gpt-4o", 0, 0, "low", 85},
		{"gpt-5", 0, 0, "auto", 70 + 8*140},
		{"gpt-5-mini", 0, 0, "high", 2489},
		{"gpt-5-mini", 0, 0, "low", 415}, // 256 × 1.62
		{"gpt-5.4", 0, 0, "auto", 2500},
		{"gpt-5.4", 0, 0, "original", 10_000},
		{"gpt-5.5", 0, 0, "", 10_000},
		{"gpt-5.6", 0, 0, "original", 10_000},
		{"gpt-5.6", 0, 0, "high", 2500},
		{"my-deployment", 0, 0, "", 85 + 8*170},
		// Absurd.
		{"gpt-4o", 1 << 30, 1 << 30, "high", 765},
		{"gpt-4o", 1 << 30, 1, "high", 85 + 4*170},
		{"gpt-4.1-mini", 1 << 30, 1 << 30, "high", 2465}, // 39 × 39 × 1.62
		{"gpt-5.5", 1 << 30, 1 << 30, "original", 10_000},
		{"gpt-5.6", 1 << 30, 1 << 30, "original", 2048 * 2048},
		{"gpt-4o", -1, 5, "high", 85 + 8*170},
		{"gpt-4o", 5, 0, "high", 85 + 8*170},
		{"gpt-4o", 1, 1, "high", 85 + 170},
		{"gpt-4.1-mini", 1, 1, "high", 2},
		{"o1", 128, 64, "low", 75},
		{"o1", 128, 64, "high", 225},
		{"o3", 128, 64, "low", 75},
		{"computer-use-preview", 128, 64, "low", 65},
		{"computer-use-preview", 128, 64, "high", 65 + 129},
		{"gpt-5-nano", 0, 0, "high", 3779},      // 1536 × 2.46
		{"gpt-4.1-nano", 4096, 64, "high", 158}, // 64 × 2.46
		{"gpt-5-mini", 4096, 64, "high", 104},
		{"o4-mini", 4096, 64, "high", 111},
		{"gpt-5.2", 4096, 64, "high", 64},
		{"gpt-5.4", 4096, 64, "high", 64},
		{"gpt-5.4", 12_000, 32, "original", 188},
		{"gpt-5.5", 12_000, 32, "", 188},
		{"gpt-5.5", 0, 0, "high", 2500},
		{"gpt-5.5", 4096, 64, "high", 64},
		{"gpt-5.6", 4096, 64, "high", 64},
		{"gpt-6", 0, 0, "high", 2500},
	} {
		v := visionOf(test.model)
		if got := v.tokens(picture{test.width, test.height}, []byte(test.detail)); got != test.want {
			t.Errorf("%s, %d × %d, %q: %d tokens, want %d", test.model, test.width, test.height, test.detail, got, test.want)
		}
	}
}

// No image costs more than the worst case of its detail.
func TestVisionWorstCase(t *testing.T) {
	for _, model := range []string{"gpt-4o", "gpt-4o-mini", "o3", "gpt-5", "gpt-5-mini", "gpt-5-nano", "o4-mini", "gpt-5.2", "gpt-5.4", "gpt-5.5"} {
		v := visionOf(model)
		for _, detail := range []string{"", "low", "high", "original"} {
			worst := v.tokens(picture{}, []byte(detail))
			for width := 1; width < 9000; width = width*5/4 + 1 {
				for height := 1; height < 9000; height = height*5/4 + 1 {
					if got := v.tokens(picture{width, height}, []byte(detail)); got <= 0 || got > worst {
						t.Fatalf("%s, %d × %d, %q: %d tokens, worst case %d", model, width, height, detail, got, worst)
					}
				}
			}
		}
	}
}

// The guide's table.
func TestGenerated(t *testing.T) {
	for _, test := range []struct {
		model, size, quality string
		want                 int64
	}{
		{"gpt-image-1", "1024x1024", "low", 272},
		{"gpt-image-1", "1024x1536", "low", 408},
		{"gpt-image-1", "1536x1024", "low", 400},
		{"gpt-image-1", "1024x1024", "medium", 1056},
		{"gpt-image-1.5", "1024x1536", "medium", 1584},
		{"gpt-image-1-mini", "1536x1024", "medium", 1568},
		{"gpt-image-1", "1024x1024", "high", 4160},
		{"gpt-image-1", "1024x1536", "high", 6240},
		{"gpt-image-1", "1536x1024", "high", 6208},
		{"gpt-image-1", "auto", "auto", 6240},
		{"", "", "", 6240},
		{"my-deployment", "1024x1024", "low", 272},
		{"chatgpt-image-latest", "1024x1024", "high", 4160},
		{"gpt-image-2", "1024x1024", "high", 7024},
		{"gpt-image-2", "4096x2048", "high", 12329}, // only animations grow beyond that
		{"gpt-image-2", "1024x1024", "medium", 1756},
		{"gpt-image-2", "3584x2048", "high", 12329},
		{"gpt-image-2.6-sunburst", "1024x1024", "xhigh", 2 * 7024},
		{"gpt-image-2.6-flare", "1024x1024", "max", 4 * 7024},
		{"my-deployment", "1024x1024", "max", 4 * 4160},
		{"gpt-image-1", "999999999x999999999", "high", 4096*4096 + 4096},
		{"gpt-image-1", "-5x7", "high", 6240},
		{"gpt-image-1", "0x0", "high", 6240},
		{"gpt-image-1", "1x1", "high", 0},
	} {
		r := reader{model: test.model}
		if got, _ := r.generated([]byte(test.size), []byte(test.quality), 1); got != test.want {
			t.Errorf("%s %s %s: %d tokens, want %d", test.model, test.size, test.quality, got, test.want)
		}
	}
}

// alphabet writes the base64 of a data: URL in the alphabet of URLs.
func alphabet(url string) string {
	head, data, _ := strings.Cut(url, ",")
	return head + "," + strings.NewReplacer("+", "-", "/", "_").Replace(data)
}

func TestParseSize(t *testing.T) {
	for size, want := range map[string]picture{
		"": {}, "auto": {}, "x": {}, "5": {}, "5x": {}, "x5": {}, "0x5": {}, "5x0": {}, "-5x5": {}, "5x-5": {}, "5x5x5": {},
		"1x1": {1, 1}, "1024x1536": {1024, 1536}, "70000x9": {maxPixels, 9}, "9x70000": {9, maxPixels},
	} {
		if p, ok := parseSize([]byte(size)); p != want || ok != (want != picture{}) {
			t.Errorf("%q: %v, %v", size, p, ok)
		}
	}
}

// What images that come with a request cost, of which one that is not seen is taken to be large.
func TestPictures(t *testing.T) {
	for _, x := range []struct {
		of        picture
		low, high int64
		unseen    bool
	}{
		{picture{1, 1}, 194, 194 + 4160, false},
		{picture{1024, 1024}, 194, 194 + 4160, false},
		{picture{512, 1024}, 323, 323 + 6240, false},
		{picture{2048, 512}, 581, 581 + 6240, false},
		{picture{}, 581, 581 + 6240, true},
		{picture{5, 0}, 581, 581 + 6240, true},
		{picture{0, 5}, 581, 581 + 6240, true},
		{picture{1 << 20, 1 << 18}, 194, 194 + 4160, false}, // of as many pixels as count
	} {
		var p pictures
		if p.add(x.of); p.tokens(false) != x.low || p.tokens(true) != x.high || p.unseen != x.unseen {
			t.Errorf("%v: %d, %d in high fidelity, unseen: %v", x.of, p.tokens(false), p.tokens(true), p.unseen)
		}
	}
}

// What an image that is generated costs is certain where the table has it.
func TestGeneratedForCertain(t *testing.T) {
	for _, x := range []struct {
		model, size, quality string
		frames               int64
		want                 bool
	}{
		{"gpt-image-1", "1024x1024", "low", 1, true}, {"gpt-image-1", "1024x1024", "medium", 1, true}, {"gpt-image-1", "1024x1024", "high", 1, true},
		{"gpt-image-1", "1024x1024", "xhigh", 1, false}, {"gpt-image-1", "1024x1024", "max", 1, false}, {"gpt-image-1", "1024x1024", "auto", 1, false},
		{"gpt-image-1", "auto", "low", 1, false}, {"gpt-image-1", "1024x1024", "low", 2, false}, {"gpt-image-2", "1024x1024", "low", 1, false},
		{"mine", "1024x1024", "low", 1, false},
	} {
		r := reader{model: x.model}
		if _, certain := r.generated([]byte(x.size), []byte(x.quality), x.frames); certain != x.want {
			t.Errorf("%+v: certain is %v", x, certain)
		}
	}
}

// broken breaks the base64 of a data: URL into lines.
func broken(url, by string, length int) string {
	head, data, _ := strings.Cut(url, ",")
	var b strings.Builder
	b.WriteString(head + ",")
	for len(data) > length {
		b.WriteString(data[:length] + by)
		data = data[length:]
	}
	return b.String() + data + by
}

func TestSizeOf(t *testing.T) {
	rgba := image.NewRGBA(image.Rect(0, 0, 321, 123))
	encoded := func(encode func(*bytes.Buffer) error) []byte {
		var buf bytes.Buffer
		if err := encode(&buf); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	jpg := encoded(func(b *bytes.Buffer) error { return jpeg.Encode(b, rgba, nil) })
	// EXIF and a colour profile before the frame.
	segment := append([]byte{0xff, 0xe1, 0xff, 0xff}, make([]byte, 65533)...)
	exif := append(append([]byte{0xff, 0xd8}, bytes.Repeat(segment, 4)...), jpg[2:]...)

	webp := func(chunk string, payload ...byte) []byte {
		b := []byte("RIFF\x00\x00\x00\x00WEBP" + chunk + "\x00\x00\x00\x00")
		return append(append(b, payload...), make([]byte, 20)...)
	}
	vp8l := binary.LittleEndian.AppendUint32([]byte{0x2f}, 320|122<<14)

	for _, test := range []struct {
		name string
		data []byte
		want picture
	}{
		{"png", encoded(func(b *bytes.Buffer) error { return png.Encode(b, rgba) }), picture{321, 123}},
		{"gif", encoded(func(b *bytes.Buffer) error { return gif.Encode(b, rgba, nil) }), picture{321, 123}},
		{"jpeg", jpg, picture{321, 123}},
		{"jpeg with exif", exif, picture{321, 123}},
		{"webp, extended", webp("VP8X", 0, 0, 0, 0, 0x40, 1, 0, 122, 0, 0), picture{321, 123}},
		{"webp, extended and high", webp("VP8X", 0, 0, 0, 0, 2, 1, 1, 4, 1, 1), picture{1 + 2 + 256 + 65536, 1 + 4 + 256 + 65536}},
		{"webp that is no RIFF", append([]byte("RIFX"), webp("VP8X", 0, 0, 0, 0, 2, 1, 1, 4, 1, 1)[4:]...), picture{}},
		{"riff that is no webp", bytes.Replace(webp("VP8X", 0, 0, 0, 0, 2, 1, 1, 4, 1, 1), []byte("WEBP"), []byte("WAVE"), 1), picture{}},
		{"jpeg whose frame is cut off", []byte{0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0, 5}, picture{}},
		{"webp, lossless", webp("VP8L", vp8l...), picture{321, 123}},
		{"webp, lossy", webp("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 0x41, 1, 123, 0), picture{321, 123}},
		{"webp, unknown", webp("ANIM"), picture{}},
		{"png claiming 4 billion", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff"), picture{maxPixels, maxPixels}},
		{"png cut off", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00"), picture{}},
		{"jpeg cut off", jpg[:20], picture{}},
		{"jpeg of nothing but fill bytes", append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff}, 1000)...), picture{}},
		{"jpeg without a frame", append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff, 0xe0, 0, 2}, 1000)...), picture{}},
		{"jpeg with a scan first", []byte{0xff, 0xd8, 0xff, 0xda, 0, 2, 0, 0}, picture{}},
		{"svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">`), picture{}},
		{"empty", nil, picture{}},
	} {
		if got := sizeOf(source{raw: test.data}); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		url := "data:image/whatever;base64," + base64.StdEncoding.EncodeToString(test.data)
		for _, u := range []string{
			url, base64.StdEncoding.EncodeToString(test.data),
			strings.ReplaceAll(url, "/", `\/`),
			strings.ReplaceAll(url, "+", `\u002b`),
			alphabet(url), strings.Replace(url, "data:", "\\tdata:", 1), strings.Replace(url, "data:", "\\r \t\\ndata:", 1),
			broken(url, "\\n", 76), broken(url, "\\r\\n", 64), broken(url, "\n ", 10), broken(url, "%0A", 76),
			strings.Replace(url, "data:image/whatever;base64", "DATA:IMAGE/WHATEVER;BASE64", 1),
			strings.Replace(url, "data:image/whatever;base64", "\\n Data:image/whatever;charset=utf-8; Base64 ", 1),
			strings.ReplaceAll(strings.ReplaceAll(url, "+", "%2B"), "=", "%3D"),
		} {
			if got := sizeOfURL([]byte(u)); got != test.want {
				t.Errorf("%s: %v in a URL, want %v", test.name, got, test.want)
			}
		}
	}
	for _, url := range []string{"", "data:;base64", "data;base64,R0lGODlhAQABAAAAACw=", "data:image/gif,R0lGODlhAQABAAAAACw=", "data:" + strings.Repeat("x", 300) + ";base64,R0lGODlhAQABAAAAACw=", "data:", "data:,", "data:image/png,xyz", "https://example.com/a.png", "data:;base64,%%%%"} {
		if got := sizeOfURL([]byte(url)); got != (picture{}) {
			t.Errorf("%q: %v", url, got)
		}
	}
}
