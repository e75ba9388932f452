package redis

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

//go:embed report.lua
var reportSource string

//go:embed reports.lua
var reportsSource string

var (
	reportScript  = newScript("report", reportSource)
	reportsScript = newScript("reports", reportsSource)
)

var _ backend.Fleet = (*Backend)(nil)

// Report implements [backend.Fleet]. It does no harm if it is repeated.
func (b *Backend) Report(ctx context.Context, account, process string, data []byte, ttl time.Duration) error {
	args := append(b.reportArgs(account, ttl), digest("process", process), data)
	_, err := b.run(ctx, reportScript, true, args)
	return err
}

// Reports implements [backend.Fleet]. It writes nothing.
func (b *Backend) Reports(ctx context.Context, account string) ([]backend.Report, error) {
	reply, err := b.run(ctx, reportsScript, true, b.reportArgs(account, 0))
	if err != nil {
		return nil, err
	}
	fields, ok := reply.([]any)
	if !ok || len(fields)%2 != 0 {
		return nil, &Error{Op: reportsScript.name, Cause: fmt.Errorf("unexpected reply of type %T and length %d", reply, len(fields))}
	}
	reports := make([]backend.Report, len(fields)/2)
	for i := range reports {
		age, _ := fields[2*i].(int64)
		data, _ := fields[2*i+1].(string)
		reports[i] = backend.Report{Data: []byte(data), Age: time.Duration(age) * time.Microsecond}
	}
	return reports, nil
}

// reportArgs begins a command of the two scripts.
func (b *Backend) reportArgs(account string, ttl time.Duration) []any {
	var n numbers
	now := int64(0)
	if b.virtual != nil {
		now = b.virtual()
	}
	n.add(float64(now), float64(ledger.Micros(ttl)))
	key := b.accountKey(account)
	return []any{nil, nil, 2, key + ":fleet", key + ":reports", []byte(n)}
}
