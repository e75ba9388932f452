package quota

import (
	"strings"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
)

// Largest bounds every cost and every limit, so that no sum of them overflows.
const Largest = 1 << 40

const (
	minute = time.Minute
	day    = 24 * time.Hour
)

// A Kind is one kind of limit.
type Kind struct {
	Name      string // of its buckets
	Unit      string // for people
	Dimension backend.Dimension
	Period    time.Duration
	// Project says that it is a project's, beside the limit of its organization. It is
	// never configured.
	Project bool
}

// Kinds are those that can be configured.
var Kinds = [...]Kind{
	{"rpm", "requests", backend.Requests, minute, false},
	{"rpd", "requests", backend.Requests, day, false},
	{"tpm", "tokens", backend.Tokens, minute, false},
	{"tpd", "tokens", backend.Tokens, day, false},
	{"ipm", "images", backend.Images, minute, false},
}

// projectTPM is what only headers of their own report.
var projectTPM = Kind{"tpm/project", "tokens", backend.Tokens, minute, true}

// Concurrent is the limit on calls in flight, which has no buckets.
var Concurrent = Kind{Name: "concurrent", Unit: "calls in flight"}

// The sources of limits that were configured, in this process or in another one.
const (
	Configured = "configured"
	Elsewhere  = "configured in another process"
)

// kindOf returns the kind of limit that counts d per period.
func kindOf(d backend.Dimension, period time.Duration) (Kind, bool) {
	for _, k := range Kinds {
		if k.Dimension == d && k.Period == period {
			return k, true
		}
	}
	return Kind{}, false
}

// kindNamed returns the kind of that name.
func kindNamed(name string) (Kind, bool) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return projectTPM, name == projectTPM.Name
}

// A Rule is what was configured: an amount for each of Kinds, 0 for none.
type Rule struct {
	Amounts [len(Kinds)]int64
	// Burst is the time in which refills what the limits per minute may spend at
	// once; 0 for the whole minute.
	Burst time.Duration
	// Concurrent is how many calls may be in flight; 0 for any number.
	Concurrent int64
}

// Limits returns a limit of the owner for each amount that is set.
func (r *Rule) Limits(owner string) []*Limit {
	var limits []*Limit
	for i, n := range r.Amounts {
		if n <= 0 {
			continue
		}
		l := newLimit(owner, Kinds[i])
		l.configured, l.ceiling = n, strings.HasPrefix(owner, classPrefix)
		if l.Period == minute {
			l.burst = r.Burst
		}
		limits = append(limits, l)
	}
	return limits
}

// Open is a limit that holds nothing back.
func Open(owner string) *Limit {
	l := newLimit(owner, Kind{Name: "open", Unit: "requests", Dimension: backend.Requests, Period: minute})
	l.configured = Largest
	return l
}

// AccountOwner owns the limits of an account as a whole.
const AccountOwner = "account"

const (
	modelPrefix  = "model:"
	familyPrefix = "family:"
	classPrefix  = "class:"
)

// ModelOwner names the owner of a model's own limits.
func ModelOwner(model string) string { return modelPrefix + model }

// FamilyOwner names the owner of limits that several models share. It never is a
// model's.
func FamilyOwner(family string) string { return familyPrefix + family }

// ClassOwner names the owner of the ceilings of a class.
func ClassOwner(class string) string { return classPrefix + class }

// OwnerTitle is what people call an owner: a model by its name.
func OwnerTitle(owner string) string { return strings.TrimPrefix(owner, modelPrefix) }

// IsShared reports whether an owner's limits are those of more than one model.
func IsShared(owner string) bool {
	return owner == AccountOwner || strings.HasPrefix(owner, familyPrefix)
}
