package ratelimiter

import (
	"context"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/internal/engine"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// FleetState is who uses an account's budget, over all processes that share its backend. Its
// JSON has durations in nanoseconds.
type FleetState struct {
	Account string `json:"account"`
	// Processes are those in which calls wait, are in flight, or have started within the last
	// minute: a thousand at most, and this one among them.
	Processes []ProcessState `json:"processes"` // sorted by ID
	// What all of them do together.
	Waiting  int           `json:"waiting"`
	Oldest   time.Duration `json:"oldest_ns"`
	InFlight int           `json:"in_flight"`
	Charged  int64         `json:"charged"`
}

// ProcessState is one process, or more exactly one [Limiter], as it has reported itself.
// The report is as old as Age.
type ProcessState struct {
	// ID is random, and the same as long as the limiter lives. Own marks the limiter that was
	// asked, which is described as it is now.
	ID  string        `json:"id"`
	Own bool          `json:"own,omitempty"`
	Age time.Duration `json:"age_ns"`
	// Waiting is how many of its calls wait, and Oldest for how long the first of them has;
	// InFlight is how many have started and not ended.
	Waiting  int           `json:"waiting"`
	Oldest   time.Duration `json:"oldest_ns"`
	InFlight int           `json:"in_flight"`
	// Charged is what was charged for its calls that started in the last minute, in tokens, or
	// in requests for those that have none: the estimate while a call is in flight, and what it
	// was settled to once it has ended. Share is its part of what all processes have, from 0 to
	// 1.
	Charged int64   `json:"charged"`
	Share   float64 `json:"share"`
	// Models are those of its calls, the ones with most waiting calls first. Beyond 64 the rest
	// are one, without a name.
	Models []ProcessModel `json:"models"`
	// Slots are those that it holds of limits on calls in flight ([Limits.Concurrent]).
	Slots []ProcessSlots `json:"slots,omitempty"`
}

// ProcessModel is what a process does with one model. Share is its part, from 0 to 1, of what
// all processes were charged for the model in the last minute.
type ProcessModel struct {
	Model    string        `json:"model"`
	Waiting  int           `json:"waiting"`
	Oldest   time.Duration `json:"oldest_ns"`
	InFlight int           `json:"in_flight"`
	Charged  int64         `json:"charged"`
	Share    float64       `json:"share"`
}

// ProcessSlots is a process's part in a limit on calls in flight.
type ProcessSlots struct {
	// Owner is whose limit it is: a model, "family:" and a family's name, "class:" and that of a
	// class, or "account".
	Owner string `json:"owner"`
	// Held is how many calls the process may have in flight before it has to ask for more,
	// and Used how many it has.
	Held int64 `json:"held"`
	Used int64 `json:"used"`
}

// Fleet reports who uses an account's budget. It reads the processes' reports, in one command,
// and changes nothing.
//
// A process reports every two seconds while its calls wait, are in flight, or have started
// within the last minute; one with more than forty accounts reports less often, down to every
// twenty seconds. A report is shown for three times that interval, so a process that ends
// without [Limiter.Shutdown] is shown for six seconds more. Where the backend is no
// [backend.Fleet], only this process is shown.
func (l *Limiter) Fleet(ctx context.Context) (FleetState, error) {
	if err := l.check(); err != nil {
		return FleetState{}, err
	}
	name, err := l.accountFor(ctx)
	if err != nil {
		return FleetState{}, err
	}
	processes, err := l.engine.Fleet(ctx, name)
	if err != nil {
		return FleetState{}, rejected(err, name, "")
	}
	return newFleetState(name, processes), nil
}

func newFleetState(account string, processes []engine.ProcessState) FleetState {
	f := FleetState{Account: account, Processes: []ProcessState{}}
	started := map[string]int64{} // by model
	for i := range processes {
		for _, m := range processes[i].Models {
			f.Waiting, f.Oldest = f.Waiting+m.Waiting, max(f.Oldest, m.Oldest)
			f.InFlight, f.Charged = f.InFlight+m.InFlight, f.Charged+m.Charged
			started[m.Model] += m.Charged
		}
	}
	for i := range processes {
		x := &processes[i]
		p := ProcessState{ID: x.ID, Own: x.Own, Age: x.Age, Models: []ProcessModel{}}
		for _, m := range x.Models {
			p.Waiting, p.Oldest = p.Waiting+m.Waiting, max(p.Oldest, m.Oldest)
			p.InFlight, p.Charged = p.InFlight+m.InFlight, p.Charged+m.Charged
			p.Models = append(p.Models, ProcessModel{
				Model: m.Model, Waiting: m.Waiting, Oldest: m.Oldest, InFlight: m.InFlight,
				Charged: m.Charged, Share: engine.Share(m.Charged, started[m.Model]),
			})
		}
		p.Share = engine.Share(p.Charged, f.Charged)
		for _, s := range x.Slots {
			p.Slots = append(p.Slots, ProcessSlots{Owner: quota.OwnerTitle(s.Owner), Held: s.Held, Used: s.Used})
		}
		f.Processes = append(f.Processes, p)
	}
	return f
}
