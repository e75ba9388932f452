package main

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A config is what the settings say.
type config struct {
	listen, admin string
	upstream      *url.URL
	account       string
	limits        []limit // those that SIGHUP sets again
	classes       map[string]ratelimiter.Class
	classesAt     map[string]place // where each is set
	maxWait       time.Duration
	bounded       bool // by maxWait
	maxWaiting    int
	redis         func() goredis.UniversalClient
	redisText     string
	fallback      *limit
	failOpen      bool
	streamUsage   bool
	shadow        bool
	grace         time.Duration
	logLevel      slog.Level
	logJSON       bool

	fixed map[string]string // the settings that only a new start changes, as they were written
}

// A limit is one option of the limiter, and where it was set.
type limit struct {
	option ratelimiter.Option
	at     place
}

// load reads the file, if there is one, and checks all settings together.
func (s *settings) load() (*config, error) {
	var all []setting
	for i := range keys {
		if k := &keys[i]; k.standard != "" {
			all = append(all, setting{key: k.name, text: k.standard})
		}
	}
	if text := os.Getenv(redisVariable); text != "" {
		all = append(all, setting{key: "redis", text: text, at: place{name: "$" + redisVariable}})
	}
	faults := slices.Clone(s.fault)
	if s.file != "" {
		written, wrong, err := readFile(s.file)
		if err != nil {
			return nil, fmt.Errorf("ratelimiter: %w", err)
		}
		written = slices.DeleteFunc(written, s.overridden)
		all, faults = append(all, written...), append(faults, wrong...)
	}
	c, wrong := newConfig(append(all, s.flags...))
	faults = append(faults, wrong...)
	faults = append(faults, c.check()...)
	if err := faulty(faults); err != nil {
		return nil, err
	}
	return c, nil
}

// overridden reports whether a flag makes a setting of the file too.
func (s *settings) overridden(written setting) bool {
	return slices.ContainsFunc(s.flags, func(f setting) bool { return f.key == written.key && f.name == written.name })
}

// newConfig applies the settings in their order, and reports those that are wrong.
func newConfig(all []setting) (*config, []fault) {
	c := &config{fixed: map[string]string{}}
	var faults []fault
	last := map[string]setting{} // of scalars: flags go over the file, and both over what is standard
	for _, s := range all {
		k := keyNamed(s.key)
		if k.form == scalar {
			last[s.key] = s
			continue
		}
		faults = append(faults, c.compose(s)...)
	}
	for i := range keys {
		s, ok := last[keys[i].name]
		if !ok {
			continue
		}
		c.fixed[s.key] = s.text
		if err := keys[i].set(c, s.text); err != nil {
			faults = append(faults, fault{s.at, err.Error()})
		}
	}
	return c, faults
}

// compose takes in a setting of several figures, unless one of them is wrong.
func (c *config) compose(s setting) []fault {
	switch s.key {
	case "classes":
		class, faults := parseClass(s)
		if _, twice := c.classes[s.name]; twice {
			faults = append(faults, fault{s.at, "it is set twice"})
		}
		if len(faults) > 0 {
			return faults
		}
		if c.classes == nil {
			c.classes, c.classesAt = map[string]ratelimiter.Class{}, map[string]place{}
		}
		c.classes[s.name], c.classesAt[s.name] = class, s.at
		c.fixed["classes "+s.name] = fmt.Sprint(class)
		return nil
	default:
		limits, faults := parseLimits(s)
		if len(faults) > 0 {
			return faults
		}
		l := limit{at: s.at}
		switch s.key {
		case "limits":
			l.option = ratelimiter.WithLimits(s.name, limits)
		case "shared":
			l.option = ratelimiter.WithShared(s.name, limits, s.models...)
		case "account-limits":
			l.option = ratelimiter.WithAccountLimits(limits)
		case "fallback":
			l.option = ratelimiter.WithFallback(limits)
			if c.fallback != nil {
				return []fault{{s.at, "it is set twice"}}
			}
			c.fallback = &l
			c.fixed["fallback"] = fmt.Sprint(limits)
			return nil
		}
		c.limits = append(c.limits, l)
		return nil
	}
}

// options are those of the limiter, but for its backend, logs and metrics.
func (c *config) options() []ratelimiter.Option {
	options := c.limitOptions()
	if c.account != "" {
		options = append(options, ratelimiter.WithAccount(c.account))
	}
	if c.classes != nil {
		options = append(options, ratelimiter.WithClasses(c.classes))
	}
	if c.bounded {
		options = append(options, ratelimiter.WithMaxWait(c.maxWait))
	}
	if c.maxWaiting > 0 {
		options = append(options, ratelimiter.WithMaxWaiting(c.maxWaiting))
	}
	if c.fallback != nil {
		options = append(options, c.fallback.option)
	}
	if c.failOpen {
		options = append(options, ratelimiter.WithFailOpen())
	}
	if c.streamUsage {
		options = append(options, ratelimiter.WithStreamUsage())
	}
	if c.shadow {
		options = append(options, ratelimiter.WithShadow())
	}
	return append(options, ratelimiter.WithRejectionResponses())
}

// limitOptions are what SetLimits takes.
func (c *config) limitOptions() []ratelimiter.Option {
	var options []ratelimiter.Option
	for _, l := range c.limits {
		options = append(options, l.option)
	}
	return options
}

// restarts are the keys of what differs from another config and needs a new start.
func (c *config) restarts(other *config) []string {
	differs := map[string]bool{}
	for k, v := range c.fixed {
		if w, ok := other.fixed[k]; !ok || v != w {
			differs[k] = true
		}
	}
	for k := range other.fixed {
		if _, ok := c.fixed[k]; !ok {
			differs[k] = true
		}
	}
	return slices.Sorted(maps.Keys(differs))
}
