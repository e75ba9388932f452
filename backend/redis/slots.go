package redis

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

//go:embed slots.lua
var slotsSource string

var slotsScript = newScript("lease", slotsSource)

var _ backend.Lessor = (*Backend)(nil)

// Lease implements [backend.Lessor]. A claim whose reply was lost is sent once more with
// the same number.
func (b *Backend) Lease(ctx context.Context, c backend.Claim) (backend.Lease, error) {
	now, holder := int64(0), ""
	if b.virtual != nil {
		now = b.virtual()
	}
	if c.Holder != "" {
		holder = digest("holder", c.Holder)
	}
	n := make(numbers, 0, 8*8)
	n.add(version, float64(now), float64(c.Number), float64(c.Limit), float64(c.Used), float64(c.Held), float64(c.Need), float64(c.Spare))
	reply, err := b.run(ctx, slotsScript, true, []any{nil, nil, 1, b.slotsKey(c.Account, c.Owner), []byte(n), holder})
	if err != nil {
		return backend.Lease{}, err
	}
	s, _ := reply.(string)
	if len(s) != 3*8 {
		return backend.Lease{}, wrap(slotsScript.name, fmt.Errorf("unexpected reply of type %T and length %d", reply, len(s)))
	}
	figure := func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64([]byte(s[8*i:]))) }
	l := backend.Lease{Slots: int64(figure(0)), Again: ledger.Duration(figure(1)), Used: int64(figure(2))}
	if c.Holder != "" {
		l.For = ledger.SlotLease - ledger.SlotStep
	}
	return l, nil
}

// slotsKey is that of the slots of an owner.
func (b *Backend) slotsKey(account, owner string) string {
	return b.accountKey(account) + printable(digest("slots", owner)) + ":slots"
}
