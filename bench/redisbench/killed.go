package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

const (
	memberProcesses = 64
	memberCallers   = 4
	memberSlots     = 100
)

// memberEnv is where a process of the fleet finds its configuration.
const memberEnv = "REDISBENCH_MEMBER"

type memberConfig struct{ Redis, Prefix, URL string }

// runMember keeps callers busy until the input ends.
func runMember(config string) error {
	var c memberConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	client := goredis.NewClient(&goredis.Options{Addr: c.Redis})
	defer client.Close()
	l, err := ratelimiter.New(ratelimiter.WithAccount("bench"), ratelimiter.WithWarnings(nil, 0),
		ratelimiter.WithLimits("gpt-4o", ratelimiter.Limits{Concurrent: memberSlots}),
		ratelimiter.WithBackend(redis.New(client, redis.WithPrefix(c.Prefix), redis.WithTimeout(10*time.Second))))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(background)
	var work sync.WaitGroup
	for range memberCallers {
		work.Go(func() {
			for ctx.Err() == nil {
				must(postTo(background, l.Client(nil), c.URL, 5))
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	work.Wait()
	return l.Shutdown(background)
}

// killed has 64 real processes call a strict server that lets 100 calls be in flight, of 0.2 to
// 2 s each, and kills a fifth of them. The server's own account says how many slots are in use.
func (b *bench) killed() {
	const limit, takes = memberSlots, 2 * time.Second
	api := openaitest.New(openaitest.WithLimits("gpt-4o", openaitest.Limits{Concurrent: limit}), openaitest.WithHeaders(false),
		openaitest.WithLatency(takes/10, takes))
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	web := &http.Server{Handler: api}
	go func() { _ = web.Serve(socket) }()
	defer web.Close()
	config, err := json.Marshal(memberConfig{b.addr, fmt.Sprint("killed", time.Now().UnixNano(), ":"), "http://" + socket.Addr().String()})
	must(err)
	program, err := os.Executable()
	must(err)
	var all []*exec.Cmd
	var inputs []io.Closer
	end := stop
	stop = func() { // also where a figure could not be had
		for _, cmd := range all {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		end()
	}
	for range memberProcesses {
		cmd := exec.Command(program)
		cmd.Env, cmd.Stderr = append(os.Environ(), memberEnv+"="+string(config)), os.Stderr
		in, err := cmd.StdinPipe()
		must(err)
		must(cmd.Start())
		all, inputs = append(all, cmd), append(inputs, in)
	}
	account := func() openaitest.Account { return api.Account("gpt-4o") }
	// until waits for a number of calls in flight, and returns how long it took.
	until := func(what string, is func(n int64) bool) time.Duration {
		begun := time.Now()
		for !is(account().InFlight()) {
			if time.Since(begun) > time.Minute {
				must(fmt.Errorf("%s: %d calls are in flight after a minute", what, account().InFlight()))
			}
			time.Sleep(time.Millisecond)
		}
		return time.Since(begun)
	}
	used := func() float64 {
		var sum, n int64
		for end := time.Now().Add(b.span); time.Now().Before(end); n++ {
			sum += account().InFlight()
			time.Sleep(time.Millisecond)
		}
		return 100 * float64(sum) / float64(n*limit)
	}
	full := func(n int64) bool { return n == limit }
	until("all slots", full)
	time.Sleep(3 * time.Second) // some have started later
	before := used()
	dead := all[:memberProcesses/5]
	for _, cmd := range dead {
		must(cmd.Process.Kill())
	}
	begun := time.Now()
	until("the server notices", func(n int64) bool { return n <= limit-int64(len(dead)) })
	until("the slots of the dead", full)
	back := time.Since(begun)
	after := used()
	for _, in := range inputs {
		_ = in.Close()
	}
	for i, cmd := range all {
		if err := cmd.Wait(); i >= len(dead) {
			must(err)
		}
	}
	stop = end
	a := account()
	fmt.Println("| 64 processes × 4 callers, at most 100 in flight | of the slots used | all used again after | used from then on | most in flight | refused | bars |\n|---|--:|--:|--:|--:|--:|---|")
	const row = "13 of them killed"
	fmt.Printf("| %s | %.1f %% | %.1f s | %.1f %% | %d | %d | %s |\n", row, before, back.Seconds(), after, a.MostInFlight, a.Throttled, b.bars(row,
		atLeast(99, before, " %"), atMost(5, back.Seconds(), " s"), atLeast(99, after, " %"), atMost(limit, float64(a.MostInFlight), ""), atMost(0, float64(a.Throttled), "")))
}
