package main

import (
	"fmt"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// A result is what the server's accounts say about a run.
type result struct {
	throttled, lost int64
	took            time.Duration // from a model's first admission to its last, the longest
	ideal           time.Duration // of the whole burst
	share           float64       // of the budget
}

// ideal is the shortest time in which the limits let through what the run was
// charged, refunds deducted: the largest of (charged − capacity) ÷ rate over
// all buckets. A model's are full until its first admission, so that is when its
// time begins. It also returns the bucket.
func ideal(s *openaitest.Server) (longest time.Duration, model string, limit openaitest.Limit) {
	for _, m := range models {
		for _, b := range s.Account(m).Buckets {
			over := float64(b.Net() - b.Capacity)
			if d := time.Duration(over / b.Rate() * float64(time.Second)); d > longest {
				longest, model, limit = d, m, b.Limit
			}
		}
	}
	return longest, model, limit
}

// report prints the table. The ideal is that of the complete burst, which the
// second run has made; what a run used is measured on the bucket that decides
// it, against what that bucket had to give in the run's time, or in the
// ideal time if calls were lost before.
func report(bare, limited *run) [2]result {
	shortest, model, limit := ideal(limited.server)
	var results [2]result
	t := table.NewWriter()
	t.SetOutputMirror(os.Stdout)
	t.SetStyle(table.StyleLight)
	header, rows := table.Row{""}, []table.Row{
		{"requests"}, {"429s seen"}, {"calls lost"}, {"time"}, {"ideal time"}, {"behind the ideal"}, {"budget used"}, {"longest wait"},
	}
	for i, r := range []*run{bare, limited} {
		res := result{throttled: r.throttled(), lost: r.lost.Load(), ideal: shortest}
		var seen int64
		for _, m := range models {
			a := r.server.Account(m)
			seen += a.Seen
			res.took = max(res.took, a.LastAdmission.Sub(a.FirstAdmission))
		}
		b := r.server.Account(model).Bucket(limit)
		res.share = float64(b.Net()) / (float64(b.Capacity) + b.Rate()*max(res.took, shortest).Seconds())
		results[i] = res

		behind := "calls are missing"
		if res.lost == 0 {
			behind = fmt.Sprintf("%+.1f %%", 100*(res.took.Seconds()/shortest.Seconds()-1))
		}
		header = append(header, r.name)
		for j, cell := range []any{
			seen, res.throttled, res.lost, seconds(res.took), seconds(shortest), behind,
			fmt.Sprintf("%.1f %%", 100*res.share), seconds(time.Duration(r.longest.Load())),
		} {
			rows[j] = append(rows[j], cell)
		}
	}
	t.AppendHeader(header)
	t.AppendRows(rows)
	t.Render()
	fmt.Printf("time: from a model's first admission to its last; ideal: (charged − capacity) ÷ rate of the tightest bucket, %v of %s\n", limit, model)
	return results
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
