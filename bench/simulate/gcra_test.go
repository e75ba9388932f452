package simulate

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/go-redis/redis_rate/v10"
)

// TestGCRA holds gcra to the script of redis_rate.
func TestGCRA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := miniredis.NewMiniRedis()
		server.ClockTTL(true)
		defer server.Close()
		client := dial(server)
		defer client.Close()
		real, ours := redis_rate.NewLimiter(client), redis_rate.NewLimiter(newGCRA())
		random := rand.New(rand.NewPCG(8, 8))
		limit := redis_rate.PerMinute(6000)
		for i := range 3000 {
			n := 1 + random.IntN(700)
			want, err := real.AllowN(context.Background(), "tokens", limit, n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ours.AllowN(context.Background(), "tokens", limit, n)
			if err != nil {
				t.Fatal(err)
			}
			if got.Allowed != want.Allowed || got.Remaining != want.Remaining ||
				apart(got.RetryAfter, want.RetryAfter) || apart(got.ResetAfter, want.ResetAfter) {
				t.Fatalf("ask %d for %d: got %+v, want %+v", i, n, got, want)
			}
			time.Sleep(time.Duration(random.IntN(10)) * time.Second * time.Duration(random.IntN(2)))
		}
	})
}

// apart reports whether durations differ by more than their rounding.
func apart(a, b time.Duration) bool { return (a - b).Abs() > 2*time.Microsecond }
