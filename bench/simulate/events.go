package simulate

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// setLimits changes the server's limits.
func setLimits(l openaitest.Limits) func(*world) {
	return func(w *world) { w.server.SetLimits(model, l) }
}

func scaledLimits(l openaitest.Limits, num, den int64) openaitest.Limits {
	return openaitest.Limits{RPM: l.RPM * num / den, TPM: l.TPM * num / den}
}

// killOne lets a process die.
func killOne(id int) func(*world) {
	return func(w *world) { w.kill(id) }
}

// restart lets all processes die and begin anew, with nothing known.
func restart(w *world) {
	for i := range w.scenario.processes {
		w.kill(i)
	}
	w.fleet.forget()
	for i := range w.scenario.processes {
		w.launch(i)
	}
}

// notice is how long before it spends the oracle hears of what others spend: as
// long as its own calls may be on their way.
const notice = 500 * time.Millisecond

// others make n calls, so long apart, every so often.
func others(every time.Duration, n int, apart time.Duration) []event {
	const tokens = 330
	return []event{{0, func(w *world) {
		w.calls.Go(func() {
			for round := time.Duration(1); ; round++ {
				for i := range n {
					at := round*every + time.Duration(i)*apart
					if !sleep(w.ctx, at-notice-w.now()) {
						return
					}
					w.calls.Go(func() { w.spend(at, openaitest.Cost{Requests: 1, Tokens: tokens}) })
				}
			}
		})
	}}}
}

// spend charges the server for somebody else's call at a time, or as soon as
// there is room after it.
func (w *world) spend(at time.Duration, c openaitest.Cost) {
	w.announce(c, 1)
	defer w.announce(c, -1)
	for sleep(w.ctx, at-w.now()) && !w.server.Spend(model, c) {
		at = w.now() + 20*time.Millisecond
	}
}

func (w *world) announce(c openaitest.Cost, sign int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.announced.Requests += sign * c.Requests
	w.announced.Tokens += sign * c.Tokens
}
