// Fleet lets four processes spend one budget through Redis, kills one of them
// halfway, and shows that the others take its share over. It needs no key and
// no network, only redis-server: Redis and the stand-in for OpenAI's API are
// its own, and listen on this machine.
//
// It fails unless no call was throttled with a 429, none was lost but those that
// the killed process had open, all processes had equal shares before the kill
// and those that were left after it, and all of the budget was back in use
// within two seconds. On a machine that is too busy for that, it says so and judges no
// shares and no use.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/examples/internal/busy"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

const (
	processes = 4
	killed    = 1 // the index of the one that is

	warmUp   = 5 * time.Second // not measured: the fleet learns where the API stands
	takeover = 2 * time.Second // what the others have for it
)

func main() {
	short := flag.Bool("short", false, "end after some seconds, and judge no shares")
	flag.Parse()
	var err error
	if flag.NArg() == 3 { // started by a fleet
		err = process(flag.Arg(0), flag.Arg(1), flag.Arg(2))
	} else {
		err = demo(*short)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func demo(short bool) error {
	warmUp, phase := warmUp, 18*time.Second
	if short {
		warmUp, phase = time.Second, 3*time.Second
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	redis, err := redistest.Start()
	if err != nil {
		return err
	}
	defer redis.Close()
	api := newStandIn()
	listener := httptest.NewServer(api)
	defer listener.Close()
	f, err := start(redis.Addr, listener.URL+"/v1")
	defer f.kill()
	if err != nil {
		return err
	}

	fmt.Printf("%d processes with %d callers each share %d tokens a minute, most of them spent when they start; process %d will be killed:\n",
		processes, callers, limits.TPM, killed+1)
	w := &watch{fleet: f, api: api}
	lateness := busy.Watch(warmUp)
	begin := time.Now().Add(warmUp)
	if err := w.until(ctx, begin.Add(phase)); err != nil {
		return err
	}
	kill := time.Now()
	f[killed].kill()
	if err := w.until(ctx, kill.Add(takeover+phase)); err != nil {
		return err
	}
	end := time.Now()
	f.finish()

	late := lateness()
	r := newResult(f, api, begin, kill, end)
	r.print()
	if short {
		return r.losses()
	}
	note, err := r.verdict(late)
	if note != "" {
		fmt.Println(note)
	}
	return err
}
