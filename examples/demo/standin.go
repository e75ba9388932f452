package main

import (
	"hash/fnv"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// newStandIn returns a server with the limits that gives back what was declared
// and not used. What it answers, and how fast, depends on the request alone, so
// that both runs get the same.
func newStandIn() *openaitest.Server {
	options := []openaitest.Option{
		openaitest.WithRefunds(true),
		openaitest.WithAnswer(func(c *openaitest.Call) openaitest.Answer {
			// From 70 to 95 % of what is declared, one token an event.
			n := c.Declared * int64(70+dice(c)%26) / 100
			return openaitest.Answer{OutputTokens: n, Deltas: int(n)}
		}),
		openaitest.WithTiming(func(c *openaitest.Call) openaitest.Timing {
			total := 100*time.Millisecond + time.Duration(dice(c)%200)*time.Millisecond
			return openaitest.Timing{Headers: total / 4, Total: total}
		}),
	}
	for model, l := range limits {
		options = append(options, openaitest.WithLimits(model, l))
	}
	return openaitest.New(options...)
}

// dice are rolled by the request's body.
func dice(c *openaitest.Call) uint32 {
	h := fnv.New32a()
	h.Write(c.Body)
	return h.Sum32()
}
