package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
)

// models shows what an ask costs Redis while so many models of one account wait in line,
// one process each: for the account's budget, which holds none of them back by itself.
// All lines are asked in turns, so that a machine that is busy is so for all of them.
func (b *bench) models() {
	client := b.client()
	defer client.Close()
	fmt.Println("| models in line | commands of an ask that waits | Redis's time for it | as many times that of one model | bar |\n|--:|--:|--:|--:|---|")
	account := backend.Bucket{Owner: "account", Name: "tpm", Dimension: backend.Tokens, Limit: 1000, Period: time.Hour}
	var lines []*modelsLine
	for _, n := range []int{1, 10, 100, 1000} {
		lines = append(lines, &modelsLine{store: redis.New(client, redis.WithPrefix(fmt.Sprint("models", n, ":"))), n: n, account: account, numbers: map[string]uint64{}})
	}
	for _, l := range lines {
		l.ask(-1, backend.Amounts{0, 1000, 0}) // takes all there is
		for i := range l.n {
			l.ask(i, backend.Amounts{1, 500, 0})
		}
	}
	times, commands := make([][]float64, len(lines)), make([]float64, len(lines))
	for range b.rounds {
		for x, l := range lines {
			must(client.ConfigResetStat(background).Err())
			for range max(modelsTurn, l.n) {
				l.asked++
				l.ask(l.asked%l.n, backend.Amounts{1, 500, 0})
			}
			us, calls := scriptStats(client)
			times[x], commands[x] = append(times[x], us), calls
		}
	}
	for x := range lines {
		slices.Sort(times[x])
	}
	one := times[0][b.rounds/10]
	for x, l := range lines {
		us, bars := times[x][b.rounds/10], ""
		if x > 0 {
			per := atMost(1.5, us/one, "")
			if l.n == 1000 {
				per = per.held(1.6)
			}
			bars = b.bars(fmt.Sprint(l.n, " models"), per, atMost(20, commands[x], ""))
		}
		fmt.Printf("| %d | %.1f | %.0f µs | %.2f | %s |\n", l.n, commands[x], us, us/one, bars)
	}
}

// modelsTurn is how many asks are measured together.
const modelsTurn = 50

type modelsLine struct {
	store   *redis.Backend
	n       int
	account backend.Bucket
	numbers map[string]uint64 // of the last ask of each
	asked   int
}

// ask is one of a model's only process, or of somebody else's if i < 0.
func (l *modelsLine) ask(i int, cost backend.Amounts) {
	model := fmt.Sprint("model", i)
	l.numbers[model]++
	own := backend.Bucket{Owner: model, Name: "tpm", Dimension: backend.Tokens, Limit: 1e6, Period: time.Minute}
	a, err := l.store.Take(background, backend.Ask{Account: "bench", Line: "account", Scope: model, Ticket: model,
		Number: l.numbers[model], Buckets: []backend.Bucket{own, l.account}, Costs: []backend.Amounts{cost}})
	must(err)
	if (a.Granted == 0) != (i >= 0) {
		must(fmt.Errorf("granted %d to model %d", a.Granted, i))
	}
}

// scriptStats is how many microseconds Redis has spent on a script in the mean, and how
// many commands each has called.
func scriptStats(client *goredis.Client) (us, calls float64) {
	scripts, total := 0.0, 0.0
	for line := range strings.SplitSeq(client.Info(background, "commandstats").Val(), "\r\n") {
		name, figures, ok := strings.Cut(line, ":calls=")
		if !ok {
			continue
		}
		fields := strings.Split(figures, ",")
		n, err := strconv.ParseFloat(fields[0], 64)
		must(err)
		switch name {
		case "cmdstat_evalsha":
			scripts = n
			us, err = strconv.ParseFloat(strings.TrimPrefix(fields[2], "usec_per_call="), 64)
			must(err)
		case "cmdstat_config|resetstat", "cmdstat_info":
		default:
			total += n
		}
	}
	return us, total / scripts
}
