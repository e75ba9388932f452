// Package redis keeps budgets in Redis, so that any number of processes on any
// number of machines spend them as one:
//
//	client := goredis.NewClient(&goredis.Options{Addr: "redis:6379", ContextTimeoutEnabled: true})
//	limiter, err := ratelimiter.New(ratelimiter.WithBackend(redis.New(client)))
//
// An ask is one round trip of one script, however many limits it draws from. Settlements are
// another, off the caller's path; those that come while one of the same buckets is under way go
// together as one.
//
// # Time
//
// Time is Redis's own: the clocks of processes do not matter. Each ask says how much time can
// have passed since the last answer to its process, and how much must have. So if Redis's clock
// takes a step, or a server takes over that is ahead or behind, nothing refills and no pause gets
// longer. There are three exceptions. A step forward of at most [WithTimeout] counts as time. A
// longer step counts too, once, if the first process to ask does not know the account yet. After
// a step back, the time between the last ask before it and the first one after it refills
// nothing.
//
// A process's own clock may stand still, as some do while a machine is suspended. The process
// then takes the time for a step, so nothing refills unless other processes have asked.
//
// If Redis stands still, for however long, no process loses its place in line: of the time
// between two asks of a line, at most half a second counts as silence of the others.
//
// # What is tested
//
// Tests run against Redis 7.0: standalone with RESP2, RESP3, TLS and an ACL user; Cluster
// (three masters with replicas) and Sentinel with a failover. They have passed against Redis 8.0
// and Valkey 8.1. docs/REDIS.md says what is expected of Redis 6, Dragonfly, the managed services
// and proxies. It also says how many calls one account carries, how to split it, how to upgrade,
// and what to use in unit tests.
//
// A [goredis.Client] or [goredis.ClusterClient] whose ContextTimeoutEnabled is set needs no
// goroutine per call.
//
// # Long lines
//
// The cost of an ask does not depend on the number of processes in its line, nor on the number
// of models. At each of the nodes of the model, the family and the account, an ask looks at the
// first four that are before it. It counts those behind these four at their mean. So a large
// call is sure of what it needs once it is among the first four of its model. A model that its
// own limit holds back is not looked at until that limit lets it go on. A line is a model's
// own, unless models share a limit of a family or of the account. If many processes die at
// once, each of the next asks steps over sixteen of them.
//
// An ask of a ticket that goes on waiting changes nothing of the budget, and writes nothing of
// it. It notes that its process is alive only if that note would be older than 300 ms when the
// ticket asks next, and the line's time four times a second.
//
// # Losses
//
// A call takes no longer than [WithTimeout] allows, and then fails with an [*Error]. What the
// limiter makes of that (wait, reject, pass, or a budget of the process's own) is set there.
// The server may refuse a command now and take it in a moment (BUSY, LOADING, OOM, READONLY,
// CLUSTERDOWN and their siblings). Such a command has run nothing, so it is sent again until
// the timeout. Nothing needs a restart when Redis is back.
//
// Nothing is charged twice. If the reply to an ask of the line is lost, the ask is sent again
// with the same number, which is granted once. That number is noted where the ask changes
// something, or where an earlier one may still come. All else is sent once. If the reply to a call
// that found no line is lost, the call fails and its charge stays. If the reply to a settlement
// is lost, the settlement may not have been applied.
//
// A Redis that lost its data (a restart, a failover, an eviction) starts from the levels that
// the asking process saw last, and not from full buckets. A new process knows little of them.
// So for a minute, the first ask of each process that knows more corrects the buckets, and what
// was charged meanwhile counts in addition. A line that lost one of its keys begins anew, in
// the order in which processes ask again. A replica that takes over may lack the charges of the
// last moments.
//
// What the keys hold is input. If it makes no sense, because somebody has written there, it is
// as good as lost: the line, the bucket's owner or the holder of slots begins anew, and the ask
// that has found it is made once more. No call fails by it. A key of another type is left alone
// ([ErrOccupied]), and so is an account of another version.
//
// # Calls in flight
//
// Where a limit counts calls in flight, processes hold slots on leases, by one more script. A
// process makes at most ten claims a second for each limit while calls wait, one or two while
// calls are in flight, and otherwise none. Each claim looks at its own holder. Now and then it
// looks at all holders: each time if there are up to eight, and eight times a second if there
// are 500. Leases run by a clock that moves with the claims, by at most a second each. So
// neither an absence of Redis nor a step of its clock ends all leases. A Redis that lost its
// data lends nothing for 1.2 seconds, if the first process that it hears of held slots. If that
// process held none, it may get slots of others.
//
// # Keys
//
// All keys of an account begin with the prefix and {D}, the hash tag that puts
// them into one slot of a Cluster; D, like the other names, is 96 bits of a
// SHA-256.
//
//	ratelimiter:{D}            hash: owners and their buckets; "m": version, expiry, and
//	                           by how much Redis's clock is ahead of the account's
//	ratelimiter:{D}L:line      sorted set: the orders of line L. Whose turn it is at each
//	                           model, family and account; when those that are held back
//	                           may go on; who has fallen silent; what flows there are
//	ratelimiter:{D}L:asked     sorted set: when each ticket of line L last asked
//	ratelimiter:{D}L:tickets   hash: tickets, what they need, and their last answer; and sums
//	                           of that for each model, family and account
//	ratelimiter:{D}T:reply     string: the last answer to a ticket that has left
//	ratelimiter:{D}S:note      string: what was learned of the limits of scope S
//	ratelimiter:{D}O:slots     hash: who holds how many slots of owner O
//	ratelimiter:{D}:fleet      hash: what each process says of itself: how many of its calls
//	                           wait, are in flight and have started, by model
//	ratelimiter:{D}:reports    sorted set: until when that holds
//
// What processes say of themselves has names in the clear: those of models, and with slots
// those of families and classes. All other names, API keys, prompts and answers are not stored.
//
// All keys expire. The hash does so some time after its last bucket is full: after ten minutes at
// least, and at most after eleven and an eighth of the time that this bucket takes to fill. The
// keys of a line expire after a minute without asks, slots after a minute without claims, reports
// after a minute without any, replies after ten seconds, and notes when the limiter says. The
// version is that of the format. A library with another version gets [ErrVersion] and changes
// nothing.
//
// # Permissions
//
// The user needs (with the prefix that is used):
//
//	~ratelimiter:* resetchannels -@all +evalsha +eval +time
//	+hget +hmget +hset +hdel +hlen +hgetall
//	+zadd +zcard +zcount +zlexcount +zrange +zrangebylex +zrem +zscore +get +set +del +pexpire +pttl
//
// and on a Cluster what go-redis needs to find its nodes: +cluster|slots,
// +cluster|shards and +command.
package redis

import goredis "github.com/redis/go-redis/v9"

var _ Client = (*goredis.Client)(nil)
