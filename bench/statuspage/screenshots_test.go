package statuspage

import (
	"flag"
	"path/filepath"
	"testing"
)

var screenshots = flag.String("screenshots", "", "write screenshots to this directory")

// The scene shows all that the page can, in both colour schemes and on a phone.
func TestScreenshots(t *testing.T) {
	h := scene(t)
	for _, shot := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"light", "light", 1080, 760},
		{"dark", "dark", 1080, 760},
		{"phone", "light", 375, 760},
	} {
		t.Run(shot.name, func(t *testing.T) {
			b := open(t, h, shot.width, shot.height)
			b.media("prefers-color-scheme", shot.scheme, "prefers-reduced-motion", "reduce")
			if *screenshots != "" {
				get[bool](b, `document.querySelector(".scopes details").open = true`)
				b.shoot(filepath.Join(*screenshots, "statuspage-"+shot.name+".png"))
			}
		})
	}
}
