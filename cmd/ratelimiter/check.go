package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
)

// check reports what the limiter finds wrong, each fault where the setting stands that has it
// by itself, or else together with those before it.
func (c *config) check() []fault {
	var store backend.Backend = memory.New() // in place of a Redis
	options := c.options()
	if c.redisText != "" {
		options = append(options, ratelimiter.WithBackend(store))
	}
	at := map[string]place{}
	alone := slices.Clone(c.limits)
	if c.fallback != nil {
		alone = append(alone, *c.fallback)
	}
	for name, class := range c.classes {
		alone = append(alone, limit{ratelimiter.WithClasses(map[string]ratelimiter.Class{name: class}), c.classesAt[name]})
	}
	for _, l := range alone {
		for _, text := range wrong(l.option, ratelimiter.WithBackend(store)) {
			at[text] = l.at
		}
	}
	for i, l := range c.limits {
		for _, text := range wrong(c.limitOptions()[:i+1]...) {
			if _, known := at[text]; !known {
				at[text] = l.at
			}
		}
	}
	var faults []fault
	for _, text := range wrong(options...) {
		faults = append(faults, inSettings(at[text], text))
	}
	return faults
}

// wrong are the faults that New finds in the options.
func wrong(options ...ratelimiter.Option) []string {
	_, err := ratelimiter.New(options...)
	if err == nil {
		return nil
	}
	_, list, _ := strings.Cut(err.Error(), "\n") // below a heading, one a line
	return strings.Split(list, "\n")
}

// inSettings is a fault of the limiter's options as one of the settings that stand there.
func inSettings(at place, text string) fault {
	if at != (place{}) { // which says what it is of
		for _, prefix := range optionOf {
			text = prefix.ReplaceAllString(text, "")
		}
	}
	return fault{at, settingNames.Replace(text)}
}

var optionOf = []*regexp.Regexp{
	regexp.MustCompile(`^With\w+(\(".*?"\))?: `),
	regexp.MustCompile(`^class ".*?": `),
}

// settingNames puts the names of settings in place of those of options.
var settingNames = strings.NewReplacer(
	"WithLimits", "limits", "WithShared", "shared", "WithAccountLimits", "account-limits",
	"WithAccount", "account", "WithClasses", "classes", "WithMaxWaiting", "max-waiting",
	"WithMaxWait", "max-wait", "WithFallback", "fallback", "WithFailOpen", "fail-open",
	"WithBackend", "redis", "WithShadow", "shadow")
