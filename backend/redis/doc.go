// Package redis keeps budgets in Redis, so that any number of processes on any
// number of machines spend them as one:
//
//	client := goredis.NewClient(&goredis.Options{Addr: "redis:6379", ContextTimeoutEnabled: true})
//	limiter, err := ratelimiter.New(ratelimiter.WithBackend(redis.New(client)), ...)
//
// An ask is one round trip of one script, whatever number of limits it draws
// from. Settlements are another, off the caller's path; those that come while one of the
// same buckets is under way go together as one.
//
// # Time
//
// Time is Redis's own: the clocks of processes do not matter. A step of Redis's clock, or a
// failover to a server that is ahead or behind, refills nothing and lengthens no pause, since
// each ask says how much time can have passed since the process last heard of the account,
// and how much must have. There are three exceptions. A step forward of at most [WithTimeout]
// counts as time. A longer step counts too, once, if the first process to ask has heard
// nothing of the account yet. The time between the last ask before a step back and the first
// one after it refills nothing.
//
// If a process's own clock stands still, as some do while a machine is suspended, it takes the
// time for a step, so nothing refills unless other processes have asked.
//
// If Redis stands still, for however long, no process loses its place in line: at most half a
// second of the time between two asks of a line counts as silence of the others.
//
// # What is tested
//
// Redis 7.0, standalone with RESP2, RESP3, TLS and an ACL user; Cluster (three
// masters with replicas) and Sentinel with a failover. docs/REDIS.md says what is
// expected of Redis 6 and 8, Valkey, Dragonfly, the managed services and proxies, how
// many calls one account carries, how to split it, how to upgrade, and what to use in
// unit tests. A client whose ContextTimeoutEnabled is set, or a
// [goredis.Client], needs no goroutine per call.
//
// # Long lines
//
// The cost of an ask depends neither on the number of processes in its line nor on that of
// models: at each of the model's, the family's and the account's nodes it looks at the first
// four before it, and counts those behind them as so many of their mean. So a large call is
// sure of what it needs when it is among the first four of its model. A model that its own
// limit holds back is not looked at until that lets it on. A line is a model's own unless
// models share a family's or the account's limit. After many processes died at once, the
// next asks step over sixteen of them each.
//
// # Losses
//
// A call takes no longer than [WithTimeout] allows and then fails with an
// [*Error]; what the limiter makes of it (wait, reject, pass, or a budget of the
// process's own) is set there. What the server refuses at once, and may do in a moment
// (BUSY, LOADING, OOM, READONLY, CLUSTERDOWN and their siblings), is sent again until the
// timeout, since it has run nothing. Nothing needs a restart when Redis is back.
//
// Nothing is charged twice: an ask of the line whose reply was lost is sent
// again with the same number, which is granted once; all else is sent once. Where
// the reply to a call that found no line is lost, the call fails and its charge
// stays. Where the reply to a settlement is lost, it may not have been applied.
//
// A Redis that lost its data (a restart, a failover, an eviction) starts from the
// levels that the asking process saw last, not from full buckets. Where that process knew
// little, as a new one does, the first ask of each that knows more corrects the buckets,
// for a minute; what was charged meanwhile counts beside it. A line of which a
// key was lost begins anew, in the order in which processes ask again. A replica that
// takes over may lack the charges of the last moments.
//
// # Calls in flight
//
// Where a limit counts calls in flight, processes hold slots on leases, with one more
// script: at most ten claims a second for each process and limit while calls wait, one
// or two while calls are in flight, and none else. A claim looks at its own holder alone,
// and at all of them now and then: at each claim up to eight holders, and with 500 eight
// times a second. Leases run by a clock that moves with the claims, by a second at most, so
// that no absence of Redis and no step of its clock ends all of them. A Redis that lost its
// data lends nothing for 1.2 seconds if it hears first of one who held slots; if a process
// comes first that held none, it may get those of others.
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
//	                           may go on; when each ticket last asked; what flows there are
//	ratelimiter:{D}L:tickets   hash: tickets, what they need, and their last answer; and sums
//	                           of that for each model, family and account
//	ratelimiter:{D}T:reply     string: the last answer to a ticket that has left
//	ratelimiter:{D}S:note      string: what was learned of the limits of scope S
//	ratelimiter:{D}O:slots     hash: who holds how many slots of owner O
//	ratelimiter:{D}:fleet      hash: what each process says of itself: how many of its calls
//	                           wait, are in flight and have started, by model
//	ratelimiter:{D}:reports    sorted set: until when that holds
//
// Names of models stand in the clear in what processes say of themselves, and with slots
// those of families and classes. All other names, API keys, prompts and answers are not
// stored. The hash expires ten
// minutes to some hours after its last bucket is full (an eighth of the time that
// takes), the keys of a line after a minute
// without asks, slots after a minute without claims, reports after one without any, replies after ten seconds, notes when the limiter says. The version
// is that of the format; a library with another one gets [ErrVersion] and changes
// nothing.
//
// # Permissions
//
// The user needs (with the prefix that is used):
//
//	~ratelimiter:* resetchannels -@all +evalsha +eval +time
//	+hget +hmget +hset +hdel +hlen +hgetall
//	+zadd +zcard +zlexcount +zrangebylex +zrem +get +set +del +pexpire +pttl
//
// and on a Cluster what go-redis needs to find its nodes: +cluster|slots,
// +cluster|shards and +command.
package redis

import goredis "github.com/redis/go-redis/v9"

var _ Client = (*goredis.Client)(nil)
