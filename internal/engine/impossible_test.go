package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A limit is lowered while calls of many tenants wait that have become too large for it. They
// all are rejected, and the calls of other tenants go on.
func TestManyTenantsBecomeImpossible(t *testing.T) {
	for _, local := range []bool{true, false} {
		run(t, local, func(b *bench) {
			b.open()
			b.admit(call(tpm)).end()
			var large, small []*admission
			for tenant := range 30 {
				size, all := int64(tpm), &large
				if tenant%5 == 4 {
					size, all = 1, &small
				}
				for range 4 {
					c := call(size)
					c.Flow = named("", fmt.Sprint(tenant), 1)
					*all = append(*all, b.start(c))
				}
			}
			rules := *b.rules.Load()
			rules.Models = map[string]quota.Rule{"m": {Amounts: [5]int64{0: rpm, 2: tpm / 2}}}
			b.SetRules(&rules)
			for i, a := range large {
				var r *Rejection
				if err := <-a.err; !errors.As(err, &r) || r.Reason != TooLarge {
					t.Fatalf("large call %d: %v", i, err)
				}
			}
			for _, a := range small {
				if err := <-a.err; err != nil {
					t.Fatal(err)
				}
				a.r.end()
			}
		})
	}
}
