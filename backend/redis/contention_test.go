package redis

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// An event happens at a time that only the test moves.
type event struct {
	at int64
	do func()
}

// A process always wants more, a turn at a time, and asks again when it was told.
type process struct {
	ticket  string
	model   string
	turn    int // calls
	left    int // of its turn
	number  uint64
	granted int
	came    int64 // when its turn did
}

// Processes that want far more than there is, of one model or of many, over a link of 3 ms on
// which one reply in a hundred takes 200 ms longer and timers are late, use up the budget. Those
// of one model get equal shares, and ask little, also where one has learned a larger margin. Hardly
// a call is granted later than in one queue for all of them.
func TestContention(t *testing.T) {
	tests := []struct {
		processes, models, rate, turn, seconds int
		used                                   float64 // of the budget, at least
		wary                                   float64 // the part of the bucket that one of the processes leaves unused
	}{
		{8, 1, 10, 1, 120, 0.995, 0},
		{8, 1, 100, 10, 60, 0.995, 0},
		{8, 1, 100, 10, 60, 0.995, 0.2},
		{8, 1, 1000, 16, 60, 0.995, 0},
		{8, 1, 1000, 16, 60, 0.995, 0.05},
		{64, 1, 500, 16, 80, 0.995, 0},
		{32 * 50, 50, 500, 4, 8, 0.98, 0}, // as 32 processes with a ticket for each of 50 models
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d processes, %d models, %d a second, margin %v", tt.processes, tt.models, tt.rate, tt.wary), func(t *testing.T) {
			if testing.Short() && tt.models > 1 {
				t.Skip("takes some seconds")
			}
			r := rand.New(rand.NewPCG(1, 2))
			b := newVirtual(client(t))
			buckets := []backend.Bucket{{Owner: "m", Name: "rpm", Limit: int64(60 * tt.rate), Period: time.Minute, Burst: time.Second}}
			var agenda []event
			at := func(when int64, do func()) {
				i, _ := slices.BinarySearchFunc(agenda, when, func(e event, when int64) int { return cmp.Compare(e.at, when) })
				agenda = slices.Insert(agenda, i, event{when, do})
			}
			begin := b.now + int64(2*time.Second/time.Microsecond) // what the bucket held is used up
			total, asks := 0, 0
			var calls [][2]int64 // when each came, and when it was granted
			var fleet []*process
			var ask func(p *process)
			ask = func(p *process) {
				if p.left == 0 {
					p.left, p.came = p.turn, b.now
				}
				p.number++
				a := backend.Ask{Account: "a", Line: "m", Scope: p.model, Ticket: p.ticket, Number: p.number,
					Buckets: slices.Clone(buckets), Costs: slices.Repeat([]backend.Amounts{{1}}, p.left)}
				if p == fleet[0] {
					a.Buckets[0].Margin = tt.wary * buckets[0].Capacity()
				}
				at(b.now+1500, func() {
					answer, err := b.Take(t.Context(), a)
					if err != nil {
						t.Fatal(err)
					}
					p.left -= answer.Granted
					if b.now >= begin {
						asks++
						total += answer.Granted
						p.granted += answer.Granted
						for range answer.Granted {
							calls = append(calls, [2]int64{p.came, b.now})
						}
					}
					again := b.now + 1500
					if r.IntN(100) == 0 {
						again += 200_000
					}
					if p.left > 0 {
						again += answer.Hint.Microseconds() + r.Int64N(2000)
					}
					at(again, func() { ask(p) })
				})
			}
			for i := range tt.processes {
				p := &process{ticket: fmt.Sprint(i), model: fmt.Sprint("model", i%tt.models), turn: tt.turn}
				fleet = append(fleet, p)
				at(b.now+r.Int64N(10_000), func() { ask(p) })
			}
			for end := begin + int64(tt.seconds)*1e6; agenda[0].at < end; {
				e := agenda[0]
				agenda = agenda[1:]
				b.now = e.at
				e.do()
			}

			fair := float64(total) / float64(tt.processes)
			least := slices.MinFunc(fleet, func(a, b *process) int { return a.granted - b.granted }).granted
			most := slices.MaxFunc(fleet, func(a, b *process) int { return a.granted - b.granted }).granted
			used := float64(total) / float64(tt.rate*tt.seconds)
			trips := float64(asks) / float64(total)
			late := lateness(calls, tt.rate)
			t.Logf("%.1f %% used, %.2f asks a call, shares of %.3f to %.3f, %v late", 100*used, trips, float64(least)/fair, float64(most)/fair, late)
			if used < tt.used {
				t.Errorf("%.1f %% of the budget were used", 100*used)
			}
			if late > 250*time.Millisecond {
				t.Errorf("one call in a hundred is granted %v later than in order", late)
			}
			if off := max(fair-float64(least), float64(most)-fair); tt.models == 1 && off > 0.05*fair {
				t.Errorf("shares of %d to %d calls; %.0f would be fair", least, most, fair)
			}
			if tt.models == 1 && tt.rate >= 100 && trips > 1.1 {
				t.Errorf("%.2f asks a call", trips)
			}
		})
	}
}

// lateness is how much later than in one queue the slowest hundredth of the calls was granted, at
// the least. The queue has the order in which they came, and is served at the rate from the first
// grant on.
func lateness(calls [][2]int64, rate int) time.Duration {
	begin := calls[0][1]
	slices.SortStableFunc(calls, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	late := make([]int64, len(calls))
	for i, c := range calls {
		late[i] = c[1] - max(c[0], begin+int64(i)*1e6/int64(rate))
	}
	slices.Sort(late)
	return time.Duration(late[len(late)*99/100]) * time.Microsecond
}
