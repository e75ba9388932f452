// Redisbench measures the Redis backend: what a call costs beside a script that
// does nothing, and what a fleet gets out of a scarce budget. It starts a Redis
// of its own and prints tables, and beside the figures the bars that they should
// reach. It names those that were missed, and exits with 1 then: also where the machine
// was busy with other work.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

func main() {
	if config, ok := os.LookupEnv(memberEnv); ok {
		must(runMember(config))
		return
	}
	only := flag.String("only", "", "comma-separated: calls, scarce, usage, hot, refunds, line, models, crowd, slots, killed")
	span := flag.Duration("span", 10*time.Second, "how long each fleet is watched")
	rounds := flag.Int("rounds", 100, "how often each pair of calls is measured")
	flag.Parse()
	server, err := redistest.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "redisbench:", err)
		os.Exit(1)
	}
	stop = server.Close
	defer stop()
	b := &bench{addr: server.Addr, span: *span, rounds: *rounds}
	fmt.Printf("%s %s/%s, %d CPUs, %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), b.version())
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"calls", b.calls}, {"scarce", b.scarce}, {"usage", b.usage}, {"hot", b.hot}, {"refunds", b.refunds}, {"line", b.line}, {"models", b.models}, {"crowd", b.crowd}, {"slots", b.slots}, {"killed", b.killed},
	} {
		if *only == "" || strings.Contains(","+*only+",", ","+part.name+",") {
			fmt.Println()
			b.part = part.name
			part.run()
		}
	}
	fmt.Printf("\n%d of %d bars were missed\n", len(b.missed), b.barred)
	for _, m := range b.missed {
		fmt.Println("missed:", m)
	}
	if len(b.missed) > 0 {
		stop()
		os.Exit(1)
	}
}

type bench struct {
	addr   string
	span   time.Duration
	rounds int

	part   string   // that is run
	barred int      // bars, of rows that were printed
	missed []string // those of them that were
}

func (b *bench) client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: b.addr, PoolSize: 64})
}

func (b *bench) version() string {
	c := b.client()
	defer c.Close()
	for line := range strings.SplitSeq(c.Info(background, "server").Val(), "\r\n") {
		if v, ok := strings.CutPrefix(line, "redis_version:"); ok {
			return "Redis " + v
		}
	}
	return "Redis"
}

// stop ends the server.
var stop = func() {}

// must ends the program: a figure after an error would mean nothing.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "redisbench:", err)
		stop()
		os.Exit(1)
	}
}
