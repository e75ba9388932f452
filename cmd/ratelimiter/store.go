package main

import (
	"errors"
	"net/url"

	goredis "github.com/redis/go-redis/v9"
)

// redisVariable may hold the URL of Redis, so that its password is in no command line.
const redisVariable = "RATELIMITER_REDIS"

// errRedis says nothing of the URL, which has a password.
var errRedis = errors.New("it is not a URL such as redis://:password@host:6379/0 (rediss:// for TLS, ?addr=host:port for more nodes of a cluster, ?master_name=name for Sentinel); what is not a letter or digit in a password is written as %40 and so on")

// parseRedis returns what makes the client of a URL: of one server, or, where the URL names
// more nodes or a master, of a cluster or of Sentinel.
func parseRedis(text string) (func() goredis.UniversalClient, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errRedis
	}
	switch query := u.Query(); {
	case query.Has("master_name"):
		o, err := goredis.ParseFailoverURL(text)
		if err != nil {
			return nil, errRedis
		}
		o.ContextTimeoutEnabled = true
		return func() goredis.UniversalClient { return goredis.NewFailoverClient(o) }, nil
	case query.Has("addr"):
		o, err := goredis.ParseClusterURL(text)
		if err != nil {
			return nil, errRedis
		}
		o.ContextTimeoutEnabled = true
		return func() goredis.UniversalClient { return goredis.NewClusterClient(o) }, nil
	default:
		o, err := goredis.ParseURL(text)
		if err != nil {
			return nil, errRedis
		}
		o.ContextTimeoutEnabled = true
		return func() goredis.UniversalClient { return goredis.NewClient(o) }, nil
	}
}
