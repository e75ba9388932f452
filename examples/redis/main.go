// Redis lets two processes spend one budget. Each is a program of its own, as it would be on
// a machine of its own; they know nothing of each other but the Redis that both are given
// (REDIS_ADDR, or else one that the example starts).
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"
	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	run := start
	if len(os.Args) > 1 {
		run = func() error { return work(os.Args[1]) }
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

// work is what each of the processes does: it makes ten calls at once. Together they may make
// four a second.
func work(name string) error {
	store := goredis.NewClient(&goredis.Options{Addr: os.Getenv("REDIS_ADDR"), ContextTimeoutEnabled: true})
	defer store.Close()
	limiter, err := ratelimiter.New(
		ratelimiter.WithBackend(redis.New(store)),
		ratelimiter.WithAccount("example"),
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 240, Burst: time.Second}))
	if err != nil {
		return err
	}
	client := openai.NewClient(openaigo.WithLimiter(limiter, nil))
	begun := time.Now()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
				Model:               openai.ChatModelGPT5_4Mini,
				Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star.")},
				MaxCompletionTokens: openai.Int(50),
			})
			if err != nil {
				log.Printf("process %s: %v", name, err)
			}
		})
	}
	wg.Wait()
	fmt.Printf("process %s has made its calls after %v\n", name, time.Since(begun).Round(time.Millisecond))
	return limiter.Shutdown(context.Background()) // what was used is in Redis then
}

// start starts the two.
func start() error {
	address, closeRedis, err := standin.Redis("REDIS_ADDR")
	if err != nil {
		return err
	}
	defer closeRedis()
	upstream, closeUpstream := standin.Upstream("OPENAI_API_KEY")
	defer closeUpstream()
	env := append(os.Environ(), "REDIS_ADDR="+address)
	if upstream != "" {
		env = append(env, "OPENAI_BASE_URL="+upstream+"/v1")
	}
	var processes []*exec.Cmd
	for _, name := range []string{"one", "two"} {
		p := exec.Command(os.Args[0], name)
		p.Env, p.Stdout, p.Stderr = env, os.Stdout, os.Stderr
		if err := p.Start(); err != nil {
			return err
		}
		processes = append(processes, p)
	}
	for _, p := range processes {
		if err := p.Wait(); err != nil {
			return err
		}
	}
	return nil
}
