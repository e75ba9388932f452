package backend

import (
	"context"
	"time"
)

// Fleet is implemented by a backend that shows who shares an account's budget. Each
// process says now and then what it does; what it says means nothing to the backend.
type Fleet interface {
	Backend
	// Report stores what a process says of itself in an account, in place of what it has said
	// before, for that long: at most a minute. A report without data is removed.
	Report(ctx context.Context, account, process string, data []byte, ttl time.Duration) error
	// Reports returns what holds at present, in any order: at most MaxReports.
	Reports(ctx context.Context, account string) ([]Report, error)
}

// MaxReports is how many reports of an account are returned at most.
const MaxReports = 1000

// A Report is what a process has said of itself, Age ago by the backend's clock.
type Report struct {
	Data []byte
	Age  time.Duration
}
