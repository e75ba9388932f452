package simulate

import (
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// TestOracleSeesSlices: the oracle is never throttled, and leaves nothing of a subwindow.
func TestOracleSeesSlices(t *testing.T) {
	for name, s := range map[string]scenario{
		"requests":           saturated("requests", brief(), sliced(openaitest.RPM, openaitest.Slices{})),
		"windows":            saturated("windows", brief(), sliced(openaitest.RPM, openaitest.Slices{Fixed: true})),
		"tokens":             saturated("tokens", prompts(1, 0.1), sliced(openaitest.TPM, openaitest.Slices{})),
		"larger than slices": saturated("larger", prompts(1, 0.1).scaled(10), sliced(openaitest.TPM, openaitest.Slices{})),
		"windows of tokens":  saturated("windows of tokens", prompts(1, 0.1), sliced(openaitest.TPM, openaitest.Slices{Fixed: true})),
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
