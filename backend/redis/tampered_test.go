package redis

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
)

var tampered = flag.String("tampered", "", "test all changes whose description matches, not a sample")

// Whatever is done to one of the things that the scripts keep, nobody is told of an error,
// and all who wait get through: what makes no sense is dropped, and overwritten. All changes
// take hours, so there is a sample.
func TestTampered(t *testing.T) {
	s := redistest.Run(t)
	c := admin(t, s)
	some, seed := 150, newSeed()
	switch {
	case testing.Short():
		some = 60
	case os.Getenv("REDIS_LONG") != "":
		some = 500
	}
	r := rand.New(rand.NewPCG(seed, 0))
	m := newTampering(t, c)
	all := m.changes(r)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if *tampered == "" {
		all = all[:min(some, len(all))]
	}
	matching := regexp.MustCompile(*tampered)
	for _, x := range all {
		if !matching.MatchString(x.what) {
			continue
		}
		m.restore()
		x.do()
		if !m.goOn(x.what) {
			t.Logf("-seed %d", seed)
		}
	}
}

// What stands in a line may look like what the scripts write, and would still hold up for ever
// whoever stands behind it: a time until which nobody need be looked for, one that has yet to
// come, or an amount that there cannot be.
func TestTamperedLineHoldsNobodyUp(t *testing.T) {
	c := admin(t, shared)
	const ages = 1e15                // by no means from LATEST on
	place := func(name string) int { // of a number in a record
		n, err := strconv.Atoi(constants[name])
		if err != nil {
			t.Fatal(err)
		}
		return 8 * (n - 1)
	}
	put := func(key, field string, at int, x float64) error {
		is := c.HGet(t.Context(), key, field).Val()
		return c.HSet(t.Context(), key, field, is[:at]+string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(x)))+is[at+8:]).Err()
	}
	line := lineField("account")
	for name, tamper := range map[string]func(keys []string) error{
		"nothing": func([]string) error { return nil },
		"nobody falls silent for ages": func(keys []string) error {
			return put(keys[0], line, place("SURE"), ages)
		},
		"one has asked in ages to come": func(keys []string) error {
			dead := c.ZRange(t.Context(), keys[4], 1, 1).Val()[0]
			return c.ZAdd(t.Context(), keys[4], goredis.Z{Score: ages, Member: dead}).Err()
		},
		"a model needs more than there can be": func(keys []string) error {
			return put(keys[2], ownerField("a"), place("NODE_NEED")+8, 1e100)
		},
		"one needs no number": func(keys []string) error {
			return put(keys[2], ticketField("busy"), place("NEXT")+8, math.NaN())
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newVirtual(c)
			number := map[string]uint64{}
			take := func(model, ticket string, costs int) int {
				t.Helper()
				number[ticket]++
				answer, err := b.Take(t.Context(), backend.Ask{Account: "account", Line: "account", Scope: model, Ticket: ticket, Number: number[ticket],
					Buckets: []backend.Bucket{{Owner: "account", Name: "rpm", Limit: 60, Period: time.Minute, Burst: time.Second}},
					Costs:   slices.Repeat([]backend.Amounts{{1}}, costs)})
				if err != nil {
					t.Fatal(err)
				}
				return answer.Granted
			}
			take("a", "busy", 3) // of which one starts
			take("a", "dead", 1)
			take("b", "waits", 1)
			if err := tamper(lineKeys(b.accountKey("account"), line, ticketField(""))); err != nil {
				t.Fatal(err)
			}
			if take("b", "waits", 1) > 0 {
				t.Fatal("one starts though nothing is there")
			}
			for range 100 {
				b.now += 100_000
				take("a", "busy", 2)
				if take("b", "waits", 1) > 0 {
					return
				}
			}
			t.Fatal("one still waits after 10 s; one call starts a second")
		})
	}
}

// A tampering is a line as it stands, and those who wait in it.
type tampering struct {
	t       *testing.T
	c       *goredis.Client
	prefix  string
	begun   int64
	asks    []backend.Ask // of those who live
	dumps   map[string]string
	claims  []backend.Claim
	account string
}

type tamper struct {
	what string
	do   func()
}

// newTampering has a line in which models stand that share limits of a family, a class and
// an account: some wait for their own limit, some for others', some have died.
func newTampering(t *testing.T, c *goredis.Client) *tampering {
	b := newVirtual(c)
	m := &tampering{t: t, c: c, prefix: b.prefix, account: "account"}
	const most = 60
	bucket := func(owner, name string, d backend.Dimension, limit int64) backend.Bucket {
		return backend.Bucket{Owner: owner, Name: name, Dimension: d, Limit: limit, Period: time.Minute, Burst: 5 * time.Second}
	}
	account, family := bucket("account", "rpm", backend.Requests, most), bucket("family", "tpm", backend.Tokens, 1e6)
	ceiling := bucket("class", "rpm", backend.Requests, most)
	ceiling.Ceiling = true
	ask := func(model, ticket string, flow backend.Flow, buckets ...backend.Bucket) backend.Ask {
		buckets = append([]backend.Bucket{bucket(model, "rpm", backend.Requests, most), bucket(model, "tpm", backend.Tokens, 1e5)}, buckets...)
		return backend.Ask{Account: m.account, Line: "account", Scope: model, Ticket: ticket, Buckets: buckets,
			Costs: []backend.Amounts{{1, 100}, {1, 100}}, Flows: []backend.Flow{flow, flow}}
	}
	take := func(a *backend.Ask) backend.Answer {
		t.Helper()
		a.Number++
		answer, err := b.Take(t.Context(), *a)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	first := ask("a", "first", backend.Flow{}, account)
	first.Costs, first.Flows = slices.Repeat([]backend.Amounts{{1, 100}}, 5), nil
	if a := take(&first); a.Granted != 5 {
		t.Fatalf("%d granted; want all there is", a.Granted)
	}
	held := ask("held", "held", backend.Flow{}, account)
	held.Buckets[1].Limit, held.Costs = 100, []backend.Amounts{{1, 100}}
	held.Flows = held.Flows[:1]
	early := held
	early.Ticket, early.Buckets = "early", held.Buckets[1:2]
	take(&early)
	dead := ask("a", "dead", backend.Flow{}, account)
	take(&dead)
	m.asks = []backend.Ask{
		ask("a", "a1", backend.Flow{}, account),
		ask("a", "a2", backend.Flow{Class: "x", Tenant: "y", Weight: 2}, account),
		ask("b", "b", backend.Flow{Class: "x", Weight: 2}, family, account),
		ask("c", "c", backend.Flow{}, family, account, ceiling),
		held,
	}
	for range 5 {
		for i := range m.asks {
			if a := take(&m.asks[i]); a.Granted > 0 {
				m.asks[i].Costs, m.asks[i].Flows = backend.InOrder(&a, m.asks[i].Costs)[a.Granted:], backend.InOrder(&a, m.asks[i].Flows)[a.Granted:]
			}
			if len(m.asks[i].Costs) == 0 {
				t.Fatal("nobody is to get all that it wants yet")
			}
		}
		b.now += 300_000
		first.Costs = first.Costs[:1]
		take(&first) // what there is again
	}
	dies := ask("b", "dies", backend.Flow{}, account)
	dies.Costs, dies.Flows = slices.Repeat(dies.Costs[:1], 5), nil
	take(&dies)
	m.asks = append(m.asks, first, ask("late", "late", backend.Flow{}, account)) // who comes only then
	for i, holder := range []string{"one", "two"} {
		claim := backend.Claim{Account: m.account, Owner: "a", Holder: holder, Number: 1, Limit: 4, Need: 3, Used: int64(i)}
		if _, err := b.Lease(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		m.claims = append(m.claims, claim)
		if err := b.Report(t.Context(), m.account, holder, []byte("{}"), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	m.begun = b.now
	m.dumps = map[string]string{}
	for _, key := range c.Keys(t.Context(), m.prefix+"*").Val() {
		m.dumps[key] = c.Dump(t.Context(), key).Val()
	}
	for _, end := range []string{"}", ":line", ":tickets", ":asked", ":reply", ":slots", ":fleet", ":reports"} {
		if !slices.ContainsFunc(m.keys(), func(k string) bool { return strings.HasSuffix(k, end) }) {
			t.Fatalf("there is no key that ends with %q", end)
		}
	}
	return m
}

func (m *tampering) keys() (keys []string) {
	for key := range m.dumps {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (m *tampering) restore() {
	m.t.Helper()
	pipe := m.c.Pipeline()
	for _, key := range m.c.Keys(m.t.Context(), m.prefix+"*").Val() {
		pipe.Del(m.t.Context(), key)
	}
	for key, dump := range m.dumps {
		pipe.Restore(m.t.Context(), key, time.Minute, dump)
	}
	if _, err := pipe.Exec(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// changes are all that may be done to one of the things that are kept.
func (m *tampering) changes(r *rand.Rand) (all []tamper) {
	add := func(key, of, how string, do func() error) {
		all = append(all, tamper{fmt.Sprintf("%s, %q: %s", key[strings.Index(key, "}"):], of, how), func() {
			if err := do(); err != nil {
				m.t.Fatalf("%s: %v", how, err)
			}
		}})
	}
	ctx := m.t.Context()
	for _, key := range m.keys() {
		m.restore()
		switch kind := m.c.Type(ctx, key).Val(); kind {
		case "string":
			for _, v := range values(r, m.c.Get(ctx, key).Val()) {
				add(key, "", v.how, func() error { return m.c.Set(ctx, key, v.is, time.Minute).Err() })
			}
		case "hash":
			fields := m.c.HGetAll(ctx, key).Val()
			for _, f := range slices.Sorted(maps.Keys(fields)) {
				is, name, more := fields[f], noise(r, len(f)), noise(r, len(fields[f]))
				for _, v := range values(r, is) {
					add(key, f, v.how, func() error { return m.c.HSet(ctx, key, f, v.is).Err() })
				}
				add(key, f, "it is lost", func() error { return m.c.HDel(ctx, key, f).Err() })
				add(key, f, "its name is another", func() error {
					return errorOf(m.c.HDel(ctx, key, f).Err(), m.c.HSet(ctx, key, name, is).Err())
				})
				add(key, f, "something is beside it", func() error { return m.c.HSet(ctx, key, name, more).Err() })
			}
		case "zset":
			for _, z := range m.c.ZRangeWithScores(ctx, key, 0, -1).Val() {
				member := z.Member.(string)
				for _, score := range []float64{math.Inf(1), math.Inf(-1), 1e308, -1e308, -1, 1} {
					add(key, member, fmt.Sprint("score ", score), func() error { return m.c.ZAdd(ctx, key, goredis.Z{Score: score, Member: member}).Err() })
				}
				for _, v := range values(r, member) {
					add(key, member, v.how, func() error {
						return errorOf(m.c.ZRem(ctx, key, member).Err(), m.c.ZAdd(ctx, key, goredis.Z{Score: z.Score, Member: v.is}).Err())
					})
					add(key, member, "beside it "+v.how, func() error { return m.c.ZAdd(ctx, key, goredis.Z{Score: z.Score, Member: v.is}).Err() })
				}
				add(key, member, "it is lost", func() error { return m.c.ZRem(ctx, key, member).Err() })
			}
		default:
			m.t.Fatalf("%s is a %s", key, kind)
		}
		add(key, "", "it is lost", func() error { return m.c.Del(ctx, key).Err() })
	}
	return all
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func noise(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

type value struct{ how, is string }

// values are what may stand in the place of one.
func values(r *rand.Rand, is string) []value {
	all := []value{{"empty", ""}, {"half", is[:len(is)/2]}, {"longer", is + "12345678"}, {"noise", noise(r, len(is))}}
	for _, n := range []int{1, 8} {
		if len(is) > n {
			all = append(all, value{fmt.Sprint(n, " bytes shorter"), is[:len(is)-n]})
		}
	}
	for at := 0; at+8 <= len(is); at += 4 {
		put := func(how, v string) { all = append(all, value{fmt.Sprint(how, " at ", at), is[:at] + v + is[at+8:]}) }
		for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -1e308, -1, 0} {
			put(fmt.Sprint(x), string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(x))))
		}
		put("noise", noise(r, 8))
	}
	return all
}

// goOn has all go on for as long as it may take, and reports whether they get what they want.
// The first of them always wants more.
func (m *tampering) goOn(what string) bool {
	t := m.t
	now := m.begun
	b := New(m.c, WithPrefix(m.prefix), WithTimeout(10*time.Second), withClock(func() int64 { return now }))
	fail := func(format string, args ...any) bool {
		t.Errorf("%s: %s", what, fmt.Sprintf(format, args...))
		return false
	}
	asks := slices.Clone(m.asks)
	due, claims := make([]int64, len(asks)), slices.Clone(m.claims)
	const patience = 3 * 60 * 1_000_000
	for turn, left := 0, len(asks)-1; left > 0; turn++ {
		if now > m.begun+patience || turn > 5000 {
			return fail("%d still wait after %v and %d turns", left, time.Duration(now-m.begun)*time.Microsecond, turn)
		}
		for i := range asks {
			a := &asks[i]
			if len(a.Costs) == 0 || due[i] > now {
				continue
			}
			if turn%3 == 1 {
				if _, err := b.Look(t.Context(), *a); err != nil {
					return fail("look: %v", err)
				}
			}
			a.Number++
			got, err := b.Take(t.Context(), *a)
			if err != nil {
				return fail("%v", err)
			}
			a.Costs = backend.InOrder(&got, a.Costs)[got.Granted:]
			if a.Flows != nil {
				a.Flows = backend.InOrder(&got, a.Flows)[got.Granted:]
			}
			if due[i] = now + got.Hint.Microseconds(); got.Granted > 0 {
				if err := b.Settle(t.Context(), backend.Settlement{Account: m.account, Line: a.Line, Stamp: got.Stamp, Buckets: a.Buckets, Refund: backend.Amounts{0, 1}}); err != nil {
					return fail("settle: %v", err)
				}
			}
			if len(a.Costs) == 0 && i > 0 {
				left--
			} else if len(a.Costs) == 0 {
				a.Costs, a.Flows = slices.Repeat([]backend.Amounts{{1, 100}}, 2), nil
			}
		}
		now += 50_000
	}
	// The slots come to be shared, and what processes say is heard.
	for range 40 {
		used := int64(0)
		for i := range claims {
			x := &claims[i]
			x.Number++
			l, err := b.Lease(t.Context(), *x)
			if err != nil {
				return fail("lease: %v", err)
			}
			x.Held, x.Used = l.Slots, min(l.Slots, x.Need)
			used += x.Used
			if err := b.Report(t.Context(), m.account, x.Holder, []byte("{}"), time.Minute); err != nil {
				return fail("report: %v", err)
			}
		}
		if used == 4 {
			break
		}
		now += 200_000
	}
	if claims[0].Used+claims[1].Used != 4 {
		return fail("%d and %d slots are used; want 4", claims[0].Used, claims[1].Used)
	}
	if said, err := b.Reports(t.Context(), m.account); err != nil || len(said) < 2 {
		return fail("%d say something, %v", len(said), err)
	}
	if err := b.Clear(t.Context(), m.account, []string{"a", "account"}); err != nil {
		return fail("clear: %v", err)
	}
	for _, key := range m.c.Keys(t.Context(), m.prefix+"*").Val() {
		if m.c.PTTL(t.Context(), key).Val() < 0 {
			return fail("%s does not expire", key)
		}
	}
	return true
}
