package redis

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

// shared is the server of the tests that do it no harm.
var shared *redistest.Server

// rules are what the user of the tests may do: what the package's documentation
// says that a user needs.
const rules = "~ratelimiter:* resetchannels -@all +evalsha +eval +time" +
	" +hget +hmget +hset +hdel +hlen +hgetall" +
	" +zadd +zcard +zlexcount +zrangebylex +zrem +get +set +del +pexpire +pttl"

// FleetEnv makes a process of the test binary a member of the fleet in fleet_test.go:
// address, prefix and role.
const FleetEnv = "RATELIMITER_TEST_FLEET"

// RunMember is what a member does. fleet_test.go sets it, from outside the package.
var RunMember func(config []string) error

// SlotsEnv makes a process of the test binary one of those in fleet_slots_test.go: address,
// prefix and the server's URL.
const SlotsEnv = "RATELIMITER_TEST_SLOTS"

// RunSlots is what such a process does. fleet_slots_test.go sets it.
var RunSlots func(config []string) error

func TestMain(m *testing.M) {
	if runHelper() {
		return
	}
	if config, ok := os.LookupEnv(SlotsEnv); ok {
		if err := RunSlots(strings.Split(config, ",")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if config, ok := os.LookupEnv(FleetEnv); ok {
		if err := RunMember(strings.Split(config, ",")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	server, err := redistest.Start(append([]string{"--user", "limiter", "on", ">secret"}, strings.Fields(rules)...)...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = server
	os.Setenv("REDIS_ADDR", server.Addr) // for the examples
	code := m.Run()
	server.Close()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestRulesAreDocumented keeps the documentation to what the tests run under.
func TestRulesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(strings.ReplaceAll(string(doc), "//", " ")), " ")
	if !strings.Contains(text, rules) {
		t.Errorf("doc.go does not contain\n%s", rules)
	}
}

// prefix is one that nobody else uses.
func prefix() Option { return WithPrefix(DefaultPrefix + rand.Text() + ":") }

// client is one of a user that may do no more than the backend needs.
func client(t testing.TB) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{Addr: shared.Addr, Username: "limiter", Password: "secret"})
	t.Cleanup(func() { c.Close() })
	return c
}

// admin is one of a user that may do everything.
func admin(t testing.TB, s *redistest.Server) *goredis.Client {
	// A busy machine is no answer.
	c := goredis.NewClient(&goredis.Options{Addr: s.Addr, DialTimeout: time.Minute, ReadTimeout: time.Minute, PoolTimeout: time.Minute})
	t.Cleanup(func() { c.Close() })
	return c
}
