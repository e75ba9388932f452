package simulate

import (
	"net/http"

	"golang.org/x/time/rate"
)

// split gives each process its share of the limits in golang.org/x/time/rate: one
// limiter of requests and one of tokens, that may be used up at once.
var split = policy{name: "x/time/rate, split", new: func(w *world) fleet {
	n := int64(w.scenario.processes)
	c := w.scenario.limits
	return alone(func(process int) http.RoundTripper {
		requests, tokens := perMinute(c.RPM/n), perMinute(c.TPM/n)
		return roundTripFunc(func(req *http.Request) (*http.Response, error) {
			cost := w.jobAt(indexOf(req)).cost()
			if err := requests.WaitN(req.Context(), int(cost.Requests)); err != nil {
				return nil, err
			}
			if err := tokens.WaitN(req.Context(), int(cost.Tokens)); err != nil {
				return nil, err
			}
			return w.base().RoundTrip(req)
		})
	})
}}

// perMinute is a limiter of n a minute; 0 does not limit.
func perMinute(n int64) *rate.Limiter {
	if n == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(float64(n)/60), int(n))
}
