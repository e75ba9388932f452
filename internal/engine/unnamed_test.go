package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// What the unnamed account has used is charged to its heir: at once, as other processes may
// ask for the heir, and what an ask that was under way under the old name has charged, once
// none can be any more.
func TestHeirIsCharged(t *testing.T) {
	for name, x := range map[string]struct{ answer, after time.Duration }{
		"at once":             {0, 0},
		"what came meanwhile": {time.Second, 2100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, false, func(b *bench) {
				b.takes(func(int, *backend.Ask) error { time.Sleep(x.answer); return nil })
				c := call(3000)
				c.Account = Unnamed
				a := b.start(c)
				b.account("a")
				synctest.Wait()
				time.Sleep(x.after)
				synctest.Wait()

				ask := b.asked()[0]
				ask.Account = "a"
				answer, err := b.memory.Look(b.Context(), ask)
				if err != nil {
					t.Fatal(err)
				}
				want := float64(tpm)
				if x.answer <= x.after {
					want -= 3000 - x.after.Seconds()*tpm/60
				}
				for i, bucket := range ask.Buckets {
					if bucket.Name == "tpm" && answer.Levels[i] > want {
						t.Errorf("%v tokens are free; want %v", answer.Levels[i], want)
					}
				}
				if err := <-a.err; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
