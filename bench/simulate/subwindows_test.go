package simulate

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// TestOracleSeesSubwindows: the oracle is never throttled, and leaves nothing of a subwindow.
func TestOracleSeesSubwindows(t *testing.T) {
	for name, s := range map[string]scenario{
		"requests":               saturated("requests", brief(), subwindowed(openaitest.RPM, openaitest.Subwindows{})),
		"windows":                saturated("windows", brief(), subwindowed(openaitest.RPM, openaitest.Subwindows{Fixed: true})),
		"tokens":                 saturated("tokens", prompts(1, 0.1), subwindowed(openaitest.TPM, openaitest.Subwindows{})),
		"larger than subwindows": saturated("larger", prompts(1, 0.1).scaled(10), subwindowed(openaitest.TPM, openaitest.Subwindows{})),
		"windows of tokens":      saturated("windows of tokens", prompts(1, 0.1), subwindowed(openaitest.TPM, openaitest.Subwindows{Fixed: true})),
	} {
		s.warmUp, s.duration = 30*time.Second, 90*time.Second
		r := play(t, &s, func(string) bool { return false })
		f := &r.runs[0].figures
		if f.refused+f.early > 0 {
			t.Errorf("%s: %d 429s", name, f.refused+f.early)
		}
		used := max(float64(f.requests)/float64(s.limits.RPM), float64(f.tokens)/float64(s.limits.TPM)) / (s.duration - s.warmUp).Minutes()
		if used < 0.9 {
			t.Errorf("%s: %.0f %% of the limit used", name, 100*used)
		}
	}
}
