package redis

import (
	"crypto/rand"
	"fmt"
	"os"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// shared is the server of the tests that do it no harm.
var shared *redistest.Server

func TestMain(m *testing.M) {
	server, err := redistest.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = server
	code := m.Run()
	server.Close()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// prefix is one that nobody else uses.
func prefix() Option { return WithPrefix(rand.Text() + ":") }

func client(t testing.TB) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{Addr: shared.Addr})
	t.Cleanup(func() { c.Close() })
	return c
}
