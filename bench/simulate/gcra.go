package simulate

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// gcra is the Redis of redis_rate: it does what the script of its AllowN does
// there. An interpreter for each of the thousand polls that a saturated second
// takes would be most of a simulation. A test holds it to the script itself.
type gcra struct {
	mu  sync.Mutex
	tat map[string]float64 // when a key would be free, in seconds since epoch
}

// gcraEpoch keeps times short, as the script does.
var gcraEpoch = time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)

func newGCRA() *gcra { return &gcra{tat: map[string]float64{}} }

func (g *gcra) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.tat)
}

// EvalSha runs AllowN: its arguments are burst, rate, period in seconds, and n.
func (g *gcra) EvalSha(ctx context.Context, _ string, keys []string, args ...any) *goredis.Cmd {
	cmd := goredis.NewCmd(ctx)
	var x [4]float64
	for i, a := range args {
		x[i], _ = strconv.ParseFloat(fmt.Sprint(a), 64)
	}
	cmd.SetVal(g.allow(time.Now(), keys[0], x[0], x[1], x[2], x[3]))
	return cmd
}

func (g *gcra) allow(at time.Time, key string, burst, rate, period, n float64) []any {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := float64(at.Sub(gcraEpoch)/time.Microsecond) / 1e6 // as TIME has it
	interval := period / rate
	tat := now
	if t, ok := g.tat[key]; ok {
		tat = max(t, now)
	}
	next := tat + interval*n
	room := now - (next - interval*burst)
	text := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	if room/interval < 0 {
		return []any{int64(0), int64(0), text(-room), text(tat - now)}
	}
	g.tat[key] = next
	return []any{int64(n), int64(math.Trunc(room / interval)), "-1", text(next - now)}
}

// The rest of what redis_rate wants of a Redis. It never gets to it.

func (g *gcra) Eval(ctx context.Context, _ string, keys []string, args ...any) *goredis.Cmd {
	return g.EvalSha(ctx, "", keys, args...)
}

func (g *gcra) EvalRO(ctx context.Context, _ string, keys []string, args ...any) *goredis.Cmd {
	return g.EvalSha(ctx, "", keys, args...)
}

func (g *gcra) EvalShaRO(ctx context.Context, sha string, keys []string, args ...any) *goredis.Cmd {
	return g.EvalSha(ctx, sha, keys, args...)
}

func (*gcra) ScriptExists(ctx context.Context, _ ...string) *goredis.BoolSliceCmd {
	return goredis.NewBoolSliceCmd(ctx)
}

func (*gcra) ScriptLoad(ctx context.Context, _ string) *goredis.StringCmd {
	return goredis.NewStringCmd(ctx)
}

func (*gcra) Del(ctx context.Context, _ ...string) *goredis.IntCmd { return goredis.NewIntCmd(ctx) }
