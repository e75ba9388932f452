package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A form is how a setting is written: as one value, as figures, as figures for each name, or
// as models and figures for each name.
type form int

const (
	scalar form = iota
	figures
	named
	family
)

// A key is a setting that there is: a flag, and a key of the file.
type key struct {
	name     string
	form     form
	boolean  bool
	standard string // what holds without it
	example  string // of the flag
	inFile   string // an example of what the file has in its place, or under each name
	usage    string
	set      func(c *config, text string) error // of a scalar
}

var keys = []key{
	{name: "listen", standard: "127.0.0.1:8080", usage: "`address` for the programs that call the API",
		set: func(c *config, text string) error { c.listen = text; return address(text) }},
	{name: "admin", standard: "127.0.0.1:8081", usage: "`address` of /healthz, /metrics and /status, or off",
		set: func(c *config, text string) error {
			if c.admin = text; text == "off" {
				return nil
			}
			return address(text)
		}},
	{name: "upstream", standard: "https://api.openai.com", usage: "the API's `URL`, without the /v1 that programs put into theirs",
		set: setUpstream},
	{name: "limits", form: named, example: "MODEL=rpm:500,tpm:200k", inFile: "{rpm: 500, tpm: 200k}", usage: "`MODEL=LIMITS`: limits of a model, or of an Azure deployment; once for each. Those that are left out are learned from the API's headers"},
	{name: "shared", form: family, example: "NAME=MODEL,MODEL=rpm:500,tpm:200k", inFile: "{models: [MODEL, MODEL], rpm: 500, tpm: 200k}", usage: "`NAME=MODEL,MODEL=LIMITS`: limits that models share; once for each family"},
	{name: "account-limits", form: figures, example: "rpm:500,tpm:200k", inFile: "{rpm: 500, tpm: 200k}", usage: "`LIMITS` of all models of an account together"},
	{name: "account", usage: "`name` of the account that pays for every call; without it each API key, project or resource is an account of its own",
		set: func(c *config, text string) error { c.account = text; return nil }},
	{name: "classes", form: named, example: "NAME=weight:10,max-wait:30s", inFile: "{weight: 10, max-wait: 30s}", usage: "`NAME=weight:10,max-wait:30s`: a class of calls that X-Ratelimit-Class names, also with limits of its own (LIMITS); once for each"},
	{name: "max-wait", usage: "reject calls that can't start within this `duration`, such as 30s; without it calls wait as long as their clients do",
		set: func(c *config, text string) (err error) {
			c.maxWait, err = duration(text)
			c.bounded = err == nil
			return err
		}},
	{name: "max-waiting", usage: "reject calls of a model while `n` of its calls wait",
		set: func(c *config, text string) error {
			n, err := strconv.Atoi(text)
			if err != nil || n <= 0 {
				return fmt.Errorf("%q is not a positive number", text)
			}
			c.maxWaiting = n
			return nil
		}},
	{name: "redis", usage: "`URL` of the Redis in which processes share a budget, such as redis://:password@host:6379/0; without it, $RATELIMITER_REDIS",
		set: func(c *config, text string) (err error) {
			c.redisText = text
			c.redis, err = parseRedis(text)
			return err
		}},
	{name: "fallback", form: figures, example: "rpm:50,tpm:20k", inFile: "{rpm: 50, tpm: 20k}", usage: "`LIMITS` of this process alone while Redis does not answer, instead of rejecting calls"},
	{name: "fail-open", boolean: true, usage: "let all calls pass while Redis does not answer, instead of rejecting them",
		set: func(c *config, text string) (err error) { c.failOpen, err = truth(text); return err }},
	{name: "stream-usage", boolean: true, usage: "ask chat streams for their usage, which adds a chunk to them",
		set: func(c *config, text string) (err error) { c.streamUsage, err = truth(text); return err }},
	{name: "shadow", boolean: true, usage: "hold nothing up and reject nothing, but show in logs, metrics and on /status what would have happened",
		set: func(c *config, text string) (err error) { c.shadow, err = truth(text); return err }},
	{name: "grace", standard: "25s", usage: "`duration` for which calls in flight may go on after SIGTERM or SIGINT",
		set: func(c *config, text string) (err error) { c.grace, err = duration(text); return err }},
	{name: "log-level", standard: "info", usage: "`level` of the log: debug (each call), info, warn or error",
		set: func(c *config, text string) error {
			if err := c.logLevel.UnmarshalText([]byte(text)); err != nil {
				return fmt.Errorf("%q is not debug, info, warn or error", text)
			}
			return nil
		}},
	{name: "log-format", standard: "text", usage: "`format` of the log: text or json",
		set: func(c *config, text string) error {
			if c.logJSON = text == "json"; !c.logJSON && text != "text" {
				return fmt.Errorf("%q is neither text nor json", text)
			}
			return nil
		}},
}

func keyNamed(name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

func address(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil || port == "" {
		return fmt.Errorf("%q is not an address such as 127.0.0.1:8080 or :8080", text)
	}
	return nil
}

func setUpstream(c *config, text string) error {
	u, err := url.Parse(text)
	none := err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == ""
	switch {
	case err == nil && u.User != nil, none && strings.Contains(text, "@"): // which must not be repeated
		return errors.New("the URL has credentials: callers bring them")
	case none:
		return fmt.Errorf("%q is not a URL such as https://api.openai.com", text)
	case u.Fragment != "":
		return fmt.Errorf("%q has a fragment", text)
	}
	c.upstream = u
	return nil
}

func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration such as 30s or 2m", text)
	case d < 0:
		return 0, fmt.Errorf("%v is negative", d)
	}
	return d, nil
}

func truth(text string) (bool, error) {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", text)
	}
	return b, nil
}
