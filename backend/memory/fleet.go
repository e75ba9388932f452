package memory

import (
	"context"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

var _ backend.Fleet = (*Backend)(nil)

// A report is what one of the account's limiters has said of itself.
type report struct {
	data        []byte
	at, expires int64
}

// Report implements [backend.Fleet].
func (b *Backend) Report(_ context.Context, account, process string, data []byte, ttl time.Duration) error {
	a := b.account(account)
	defer a.mu.Unlock()
	t := now()
	a.dropReports(t)
	if len(data) == 0 {
		delete(a.reports, process)
		return nil
	}
	if a.reports == nil {
		a.reports = map[string]report{}
	}
	a.reports[process] = report{slices.Clone(data), t, t + ttl.Microseconds()}
	return nil
}

// Reports implements [backend.Fleet].
func (b *Backend) Reports(_ context.Context, account string) ([]backend.Report, error) {
	a := b.account(account)
	defer a.mu.Unlock()
	t := now()
	a.dropReports(t)
	var all []backend.Report
	for _, r := range a.reports {
		if len(all) < backend.MaxReports {
			all = append(all, backend.Report{Data: slices.Clone(r.data), Age: time.Duration(t-r.at) * time.Microsecond})
		}
	}
	return all, nil
}

// dropReports forgets those that hold no more.
func (a *account) dropReports(now int64) {
	for process, r := range a.reports {
		if r.expires <= now {
			delete(a.reports, process)
		}
	}
}
