package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A model is a queue as plain slices, in the order of arrival.
type model struct {
	fresh, retries []*waiter
	retryFirst     bool
}

func (m *model) all() (all []*waiter) {
	fresh, retries, retryNext := m.fresh, m.retries, m.retryFirst
	for len(fresh)+len(retries) > 0 {
		from := &fresh
		if len(fresh) == 0 || retryNext && len(retries) > 0 {
			from = &retries
		}
		w := (*from)[0]
		all, *from, retryNext = append(all, w), (*from)[1:], !w.retry
	}
	return all
}

func (m *model) join(w *waiter) {
	if len(m.all()) == 0 {
		m.retryFirst = w.retry
	}
	mine := &m.fresh
	if w.retry {
		mine = &m.retries
	}
	*mine = append(*mine, w)
	slices.SortFunc(*mine, func(a, b *waiter) int { return int(a.seq) - int(b.seq) })
}

func (m *model) leave(w *waiter) {
	if all := m.all(); all[0] == w && len(all) > 1 {
		m.retryFirst = all[1].retry // whoever was second is first
	}
	is := func(x *waiter) bool { return x == w }
	m.fresh, m.retries = slices.DeleteFunc(m.fresh, is), slices.DeleteFunc(m.retries, is)
}

// now is later than every arrival.
var now = time.Unix(1e6, 0)

// check compares a queue with what it should be, and with its own promises.
func (m *model) check(t *rapid.T, q *queue) {
	got, want := collect(q), m.all()
	if !slices.Equal(got, want) || q.len() != len(want) {
		t.Fatalf("the order is %v; want %v", order(got), order(want))
	}
	var head *waiter
	if len(want) > 0 {
		head = want[0]
	}
	var oldest *waiter
	for _, w := range want {
		if oldest == nil || w.seq < oldest.seq {
			oldest = w
		}
	}
	if got := q.oldest(); got != oldest {
		t.Fatalf("the oldest is %v; want %v", got, oldest)
	}
	if q.head() != head {
		t.Fatalf("the head is %v of %v", q.head(), order(want))
	}
	var wanted backend.Amounts
	var last [2]uint64
	for i, w := range got {
		for d, n := range w.charge.cost {
			wanted[d] += n
		}
		kind := 0
		if w.retry {
			kind = 1
		}
		if w.seq < last[kind] {
			t.Fatalf("%v are not in the order of arrival", order(got))
		}
		last[kind] = w.seq
		if i > 0 && w.retry && got[i-1].retry && slices.ContainsFunc(got[i:], func(w *waiter) bool { return !w.retry }) {
			t.Fatalf("two retries before a fresh call: %v", order(got))
		}
	}
	if wanted != q.wanted {
		t.Fatalf("they want %v; counted are %v", wanted, q.wanted)
	}
	for i, w := range got {
		for _, most := range []int{i - 1, i, i + 1} {
			want := max(0, min(i, most))
			var before backend.Amounts
			for _, x := range got[:want] {
				for d, n := range x.charge.cost {
					before[d] += n
				}
			}
			if n, wanted := q.ahead(w, most); n != want || wanted != before {
				t.Fatalf("%d stand ahead of the %d. of at most %d, and want %v; want %v", n, i, most, wanted, before)
			}
		}
	}
}

// order names those who wait: positive for a fresh call, negative for a retry.
func order(all []*waiter) (names []int) {
	for _, w := range all {
		if names = append(names, int(w.seq)); w.retry {
			names[len(names)-1] *= -1
		}
	}
	return names
}

// Whoever joins and leaves, callers are in the order of arrival but for retries, which go
// near the front, at most one before each fresh call.
func TestQueueIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var m model
		arrived := uint64(0)
		var asking []*waiter // have arrived, and ask by themselves
		join := func(w *waiter) {
			head := q.head()
			ahead := q.join(w)
			m.join(w)
			m.check(t, &q)
			all := collect(&q)
			if at := slices.Index(all, w); at != ahead {
				t.Fatalf("%d ahead of one at %d of %v", ahead, at, order(all))
			}
			if head != nil && q.head() != head && !(q.head() == w && w.seq < head.seq && w.retry == head.retry) {
				t.Fatalf("%v has taken the place of %v", order(all), order([]*waiter{head}))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"arrive": func(t *rapid.T) {
				arrived++
				w := &waiter{seq: arrived, retry: rapid.Bool().Draw(t, "retry")}
				w.arrived = now.Add(-time.Hour + time.Duration(w.seq)*time.Second)
				w.charge.cost = backend.Amounts{1, rapid.Int64Range(0, 100).Draw(t, "tokens"), rapid.Int64Range(0, 2).Draw(t, "images")}
				if rapid.IntRange(0, 3).Draw(t, "asks") == 0 {
					asking = append(asking, w)
					return
				}
				join(w)
			},
			"join late": func(t *rapid.T) {
				if len(asking) == 0 {
					t.Skip("nobody asks")
				}
				i := rapid.IntRange(0, len(asking)-1).Draw(t, "who")
				w := asking[i]
				asking = slices.Delete(asking, i, i+1)
				join(w)
			},
			"leave": func(t *rapid.T) {
				all := m.all()
				if len(all) == 0 {
					t.Skip("nobody waits")
				}
				w := all[rapid.IntRange(0, len(all)-1).Draw(t, "who")]
				q.leave(w)
				m.leave(w)
				m.check(t, &q)
				q.leave(w) // once more changes nothing
				m.check(t, &q)
			},
			"pop": func(t *rapid.T) {
				if w := q.head(); w != nil {
					q.leave(w)
					m.leave(w)
					m.check(t, &q)
				}
			},
			"cut": func(t *rapid.T) {
				all := m.all()
				if len(all) == 0 {
					t.Skip("nobody waits")
				}
				w := all[rapid.IntRange(0, len(all)-1).Draw(t, "who")]
				input := rapid.Int64Range(0, 100).Draw(t, "input")
				w.charge.input = min(input, w.charge.cost[backend.Tokens])
				n := rapid.Int64Range(0, w.charge.cost[backend.Tokens]).Draw(t, "tokens")
				q.change(w, func(c *charge) { c.cut(n) })
				if w.charge.cost[backend.Tokens] != n || w.charge.input > n {
					t.Fatalf("%+v is cut to %d", w.charge, n)
				}
				m.check(t, &q)
			},
		})
	})
}

// The order of some lines; a number is a call, by its arrival, and negative for a retry.
func TestQueueOrder(t *testing.T) {
	for _, x := range []struct {
		join, leave, want []int
	}{
		{[]int{1, 2, 3}, nil, []int{1, 2, 3}},
		{[]int{1, 2, 3, -4}, nil, []int{1, -4, 2, 3}},
		{[]int{1, 2, 3, -4, -5}, nil, []int{1, -4, 2, -5, 3}},
		{[]int{1, -2, -3, -4}, nil, []int{1, -2, -3, -4}},
		{[]int{-1, 2, 3}, nil, []int{-1, 2, 3}},
		{[]int{-1, -2, 3, 4}, nil, []int{-1, 3, -2, 4}},
		{[]int{1, 2, 3, -4, -5}, []int{1}, []int{-4, 2, -5, 3}},
		{[]int{1, 2, 3, -4, -5}, []int{1, -4}, []int{2, -5, 3}},
		{[]int{1, 2, 3, -4, -5}, []int{2}, []int{1, -4, 3, -5}},
		{[]int{1, 2, 3, -4, -5}, []int{1, 2, 3}, []int{-4, -5}},
		{[]int{2, 3, 1}, nil, []int{1, 2, 3}}, // it has asked by itself meanwhile
		{[]int{-2, 3, 1}, nil, []int{-2, 1, 3}},
		{[]int{1}, []int{1}, nil},
	} {
		var q queue
		by := map[int]*waiter{}
		for _, n := range x.join {
			by[n] = &waiter{seq: uint64(max(n, -n)), retry: n < 0}
			q.join(by[n])
		}
		for _, n := range x.leave {
			q.leave(by[n])
		}
		if got := order(collect(&q)); !slices.Equal(got, x.want) {
			t.Errorf("%v without %v are %v; want %v", x.join, x.leave, got, x.want)
		}
	}
}

func collect(q *queue) (all []*waiter) {
	c := q.cursor()
	for w := c.next(); w != nil; w = c.next() {
		all = append(all, w)
	}
	return all
}

// A limit is lowered while calls of many tenants wait that have become too large for it. They
// all are rejected, and the calls of other tenants go on.
func TestManyTenantsBecomeImpossible(t *testing.T) {
	for _, local := range []bool{true, false} {
		run(t, local, func(b *bench) {
			b.open()
			b.admit(call(tpm)).end()
			var large, small []*admission
			for tenant := range 30 {
				size, all := int64(tpm), &large
				if tenant%5 == 4 {
					size, all = 1, &small
				}
				for range 4 {
					c := call(size)
					c.Flow = named("", fmt.Sprint(tenant), 1)
					*all = append(*all, b.start(c))
				}
			}
			rules := *b.rules.Load()
			rules.Models = map[string]quota.Rule{"m": {Amounts: [5]int64{0: rpm, 2: tpm / 2}}}
			b.SetRules(&rules)
			for i, a := range large {
				var r *Rejection
				if err := <-a.err; !errors.As(err, &r) || r.Reason != TooLarge {
					t.Fatalf("large call %d: %v", i, err)
				}
			}
			for _, a := range small {
				if err := <-a.err; err != nil {
					t.Fatal(err)
				}
				a.r.end()
			}
		})
	}
}
