package quota

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// FuzzLimits: whatever headers and error texts a server sends, in whatever order, no limit
// that is configured gets larger, and every bucket stays one.
func FuzzLimits(f *testing.F) {
	for _, script := range []string{
		"200\nX-Ratelimit-Limit-Tokens: 9000\nX-Ratelimit-Remaining-Tokens: 8900\nX-Ratelimit-Reset-Tokens: 666ms",
		"200\nX-Ratelimit-Limit-Requests: 1000000\nX-Ratelimit-Remaining-Requests: 999999\n\n429\nRetry-After: 7\n!Rate limit reached for m on tokens per min (TPM): Limit 90000, Used 89999, Requested 821. Please try again in 534ms.",
		"429\nX-Ratelimit-Renewalperiod-Requests: 60\nX-Ratelimit-Limit-Requests: 5\nX-Ratelimit-Reset-Requests: 1\n!exceeded the call rate limit",
		"413\n!Request too large for m on tokens per min (TPM): Limit 6000, Requested 9120",
		"200\nX-Ratelimit-Limit-Tokens: 1\n\n200\nX-Ratelimit-Limit-Tokens: 1000000000000000\n\n200\nX-Ratelimit-Remaining-Tokens: -1",
		"200\nX-Ratelimit-Limit-Project-Tokens: 100\nX-Ratelimit-Remaining-Project-Tokens: 1\nX-Ratelimit-Reset-Project-Tokens: 23h",
	} {
		f.Add(script, uint16(100), uint32(1000))
	}
	f.Fuzz(func(t *testing.T, script string, tokens uint16, pause uint32) {
		w := newWorld(t, "rpm=500 tpm=9000 account/tpm=20000 account/rpd=1000")
		w.loose = true
		configured := map[string]int64{}
		for _, l := range w.Limits() {
			configured[l.Owner+"/"+l.Name] = l.Amount()
		}
		after := time.Duration(0)
		for response := range strings.SplitSeq(script, "\n\n") {
			after += time.Duration(pause) * time.Millisecond
			r := w.send(after, int64(tokens))
			h, text, status := http.Header{}, "", 200
			for line := range strings.Lines(response) {
				line = strings.TrimSpace(line)
				switch name, value, isHeader := strings.Cut(line, ": "); {
				case strings.HasPrefix(line, "!"):
					text = line[1:]
				case isHeader:
					h.Set(name, value)
				case line == "429":
					status = 429
				case line == "413":
					status = 413
				}
			}
			now := at(after + time.Duration(tokens)*time.Millisecond)
			headers := wire.ParseHeaders(h)
			w.apply(w.Headers(now, r, &headers, status == 429, status >= 400))
			if status >= 400 {
				throttle := wire.ParseThrottle(status, h, []byte(`{"error":{"message":"`+text+`"}}`), now)
				if status == 413 {
					w.TooLarge(now, r, &throttle)
				} else {
					corrections, _ := w.Throttled(now, r, &throttle, min(throttle.RetryAfter, 10*time.Minute))
					w.apply(corrections)
				}
			}
			w.Settled(r.Cost[backend.Tokens], 0)
			for _, l := range w.Limits() {
				if most, is := configured[l.Owner+"/"+l.Name]; l.Amount() <= 0 || is && l.Amount() > most {
					t.Errorf("%s is %d, configured %d", l.Name, l.Amount(), most)
				}
			}
			for _, b := range w.Buckets(nil, now, w.Limits()) {
				if b.Limit <= 0 || b.Period <= 0 || !(b.Margin >= 0) || !(b.Start >= 0) || math.IsInf(b.Margin, 0) || math.IsInf(b.Start, 0) {
					t.Errorf("no bucket: %+v", b)
				}
			}
			note, err := w.Note(now)
			if err != nil {
				t.Fatal(err)
			}
			other := newWorld(t, "rpm=500")
			if _, err := other.TakeNote(now, note, 0); err != nil {
				t.Errorf("its note is not valid: %v: %s", err, note)
			}
		}
		for name := range configured {
			found := false
			for _, l := range w.Limits() {
				found = found || l.Owner+"/"+l.Name == name
			}
			if !found {
				t.Errorf("%s is gone", name)
			}
		}
	})
}
