package redis

import (
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
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
	" +zadd +zcard +zcount +zlexcount +zrange +zrangebylex +zrem +zscore +get +set +del +pexpire +pttl"

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

// TestRulesAreDocumented keeps the documentation to what the tests run under, and both to
// what the scripts call.
func TestRulesAreDocumented(t *testing.T) {
	text := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(strings.ReplaceAll(string(b), "//", " ")), " ")
	}
	if !strings.Contains(text("doc.go"), rules) {
		t.Errorf("doc.go does not contain\n%s", rules)
	}
	scripts, err := filepath.Glob("*.lua")
	if err != nil || len(scripts) == 0 {
		t.Fatal(err)
	}
	called := map[string]bool{"EVALSHA": true, "EVAL": true}
	for _, name := range scripts {
		for _, m := range regexp.MustCompile(`(?:call|in_parts)\('([A-Z]+)'`).FindAllStringSubmatch(text(name), -1) {
			called[m[1]] = true
		}
	}
	allowed := map[string]bool{}
	for _, m := range regexp.MustCompile(`\+(\w+)`).FindAllStringSubmatch(rules, -1) {
		allowed[strings.ToUpper(m[1])] = true
	}
	if !maps.Equal(called, allowed) {
		t.Errorf("the scripts call %v\nthe rules allow %v", called, allowed)
	}
	manual := text("../../docs/REDIS.md")
	_, list, _ := strings.Cut(manual, "these commands inside scripts: `")
	list, _, _ = strings.Cut(list, "`")
	listed := map[string]bool{"EVALSHA": true, "EVAL": true}
	for _, name := range strings.Fields(list) {
		listed[name] = true
	}
	if !maps.Equal(listed, called) {
		t.Errorf("the scripts call %v\nREDIS.md lists %v", called, listed)
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
