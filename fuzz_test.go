package ratelimiter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// FuzzOptions: a configuration is rejected with its faults, or holds: its limits are those
// that State shows, SetLimits takes them as New does, and a call of nothing but a request
// can start, at once or once its budget has refilled.
func FuzzOptions(f *testing.F) {
	f.Add("gpt-5.4-mini", "family", int64(500), int64(10_000), int64(30_000), int64(0), int64(0), int64(4), int64(time.Second), int64(time.Minute))
	f.Add(" M ", "", int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(0), int64(1))
	f.Add("m", "m", int64(-1), int64(1<<62), int64(1<<40), int64(-1<<63), int64(0), int64(1<<50), int64(-1), int64(-1))
	f.Fuzz(func(t *testing.T, model, family string, rpm, rpd, tpm, tpd, ipm, concurrent, burst, pause int64) {
		limits := ratelimiter.Limits{RPM: rpm, RPD: rpd, TPM: tpm, TPD: tpd, IPM: ipm, Concurrent: concurrent, Burst: time.Duration(burst)}
		set := []ratelimiter.Option{ratelimiter.WithLimits(model, limits), ratelimiter.WithShared(family, limits, model), ratelimiter.WithAccountLimits(limits)}
		l, err := ratelimiter.New(append(set, ratelimiter.WithAccount("a"), ratelimiter.WithMaxPause(time.Duration(pause)))...)
		if err != nil {
			if l != nil || !strings.HasPrefix(err.Error(), "ratelimiter: ") {
				t.Errorf("%v and %v", l, err)
			}
			return
		}
		if err := l.SetLimits(set...); err != nil {
			t.Errorf("New takes what SetLimits rejects: %v", err)
		}
		if min(rpm, rpd, tpm, tpd, ipm, concurrent, burst) < 0 || pause <= 0 || strings.TrimSpace(model) == "" {
			t.Errorf("it takes %+v, a pause of %d, a model %q", limits, pause, model)
		}
		call := ratelimiter.Cost{Model: model, Requests: 1}
		if _, err := l.Delay(t.Context(), call); err != nil {
			t.Errorf("%+v: %v", limits, err)
		}
		r, err := l.Acquire(t.Context(), call)
		if err != nil {
			t.Fatalf("%+v: %v", limits, err)
		}
		r.Settle(ratelimiter.Usage{})
		amounts := map[string]int64{"rpm": rpm, "rpd": rpd, "tpm": tpm, "tpd": tpd, "ipm": ipm, "concurrent": concurrent}
		state, err := l.State(t.Context())
		if err != nil || len(state.Scopes) != 1 {
			t.Fatalf("%+v, %v", state, err)
		}
		shown := map[string]int{}
		for _, limit := range state.Scopes[0].Limits {
			if want, ok := amounts[limit.Name]; !ok || limit.Limit != want || limit.Remaining < 0 || limit.Remaining > limit.Limit {
				t.Errorf("%s of %s: %d remain of %d, want %d", limit.Name, limit.Owner, limit.Remaining, limit.Limit, want)
			}
			shown[limit.Name]++
		}
		for name, amount := range amounts {
			if want := 3 * min(amount, 1); int64(shown[name]) != want {
				t.Errorf("%s of %d is shown %d times", name, amount, shown[name])
			}
		}
	})
}
