package openaitest

import (
	"fmt"
	"time"
)

// Limits are what a bucket set may be charged per period: requests, tokens and
// images per minute and per day. Zero means no limit of that kind; negative
// values are rejected by New.
type Limits struct {
	RPM, TPM, RPD, TPD, IPM int64
	// Concurrent is how many calls may be in flight: from their admission to their end.
	Concurrent int64
}

// Limit names one of the five limits.
type Limit int

// The limits, in the order in which accounts and throttles list them.
const (
	RPM Limit = iota // requests per minute
	TPM              // tokens per minute
	RPD              // requests per day
	TPD              // tokens per day
	IPM              // images per minute

	limitCount = iota
)

// Concurrent names the limit on calls in flight, which has no bucket.
const Concurrent Limit = -1

// Cost is what one call draws from each dimension.
type Cost struct {
	Requests, Tokens, Images int64
}

type dimension int

const (
	requests dimension = iota
	tokens
	images
)

// limitFacts holds what the API calls each limit, and how long its period is.
var limitFacts = [limitCount]struct {
	name      string
	dimension dimension
	period    time.Duration
	words     string
}{
	RPM: {"RPM", requests, time.Minute, "requests per min (RPM)"},
	TPM: {"TPM", tokens, time.Minute, "tokens per min (TPM)"},
	RPD: {"RPD", requests, 24 * time.Hour, "requests per day (RPD)"},
	TPD: {"TPD", tokens, 24 * time.Hour, "tokens per day (TPD)"},
	IPM: {"IPM", images, time.Minute, "images per min (IPM)"},
}

// String returns the usual abbreviation: "RPM", "TPM" and so on, or "Concurrent".
func (l Limit) String() string {
	if l == Concurrent {
		return "Concurrent"
	}
	if l < 0 || l >= limitCount {
		return fmt.Sprintf("Limit(%d)", int(l))
	}
	return limitFacts[l].name
}

// Period returns the time in which a bucket of this limit refills from empty.
func (l Limit) Period() time.Duration { return limitFacts[l].period }

func (l Limit) dimension() dimension { return limitFacts[l].dimension }

func (l Limits) of(limit Limit) int64 {
	return [limitCount]int64{RPM: l.RPM, TPM: l.TPM, RPD: l.RPD, TPD: l.TPD, IPM: l.IPM}[limit]
}

func (c Cost) of(d dimension) int64 {
	return [...]int64{requests: c.Requests, tokens: c.Tokens, images: c.Images}[d]
}
