package ratelimiter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
	"github.com/openai-ratelimiter/ratelimiter/internal/quota"
)

// A Class is a kind of call, such as an interactive one or one of a nightly batch. While the
// budget is not enough for all, classes share it by their weights; what one does not use goes
// to the others at once. Shares are counted over the whole fleet, in charged tokens, or in
// requests where no limit on tokens is known.
type Class struct {
	// Weight is how much more the class gets than one of weight 1, from 0.001 to
	// 1,000,000; 0 means 1. A hundred times the weight of another is almost a priority,
	// and still starves nobody.
	Weight float64
	// Limits, if any is set, are a ceiling: the most that calls of the class may use of all
	// models of an account together, over the whole fleet. The models' limits hold too. A call
	// of the class starts while anything is left under the ceiling, and what it takes beyond
	// that holds back the next ones. Calls that only the ceiling holds back stand in nobody's
	// way. Responses never change a ceiling. A call above one of these limits fails with
	// [ErrTooLarge]. The class "" can't have Limits.
	Limits Limits
	// MaxWait is the longest that a call of the class waits. It overrides [WithMaxWait]; 0
	// leaves that in force.
	MaxWait time.Duration
}

const (
	leastWeight, mostWeight = 0.001, 1_000_000
	longestName             = 128 // of classes and tenants, in bytes
	mostClasses             = 64
)

// WithClasses names the classes of calls and their weights. Calls are given one with
// [ContextWithClass]. Calls without one, and those of a name that is not here, are of the
// class "", which has the weight 1 unless it is named here too. All processes that share a
// budget should be given the same. There may be 64 classes, with names of at most 128 bytes.
// [Limiter.SetLimits] takes it too.
func WithClasses(classes map[string]Class) Option {
	return limitsOption(func(c *config) {
		if c.classes != nil {
			c.fault(errors.New("WithClasses is given twice"))
		}
		if len(classes) > mostClasses {
			c.fault(fmt.Errorf("WithClasses: %d classes are more than %d", len(classes), mostClasses))
		}
		c.classes = map[string]Class{}
		for _, name := range slices.Sorted(maps.Keys(classes)) {
			class := classes[name]
			what := fmt.Sprintf("WithClasses: class %q", shortened(name))
			if len(name) > longestName {
				c.fault(fmt.Errorf("%s: its name has %d bytes; it may have at most %d", what, len(name), longestName))
			}
			if w := class.Weight; w != 0 && !(w >= leastWeight && w <= mostWeight) { // or it is no number
				c.fault(fmt.Errorf("%s: a weight of %v is not from 0.001 to 1,000,000", what, w))
			}
			switch {
			case class.Limits == Limits{}:
			case name == "":
				c.fault(fmt.Errorf("%s: it has Limits; only a class with a name may", what))
			default:
				c.fault(class.Limits.faults(what))
			}
			if class.MaxWait < 0 {
				c.fault(fmt.Errorf("%s: MaxWait %v is negative", what, class.MaxWait))
			}
			c.classes[name] = class
		}
	})
}

func shortened(name string) string {
	if len(name) > longestName {
		return name[:longestName] + "…"
	}
	return name
}

// ceilings are the limits of the classes that have some.
func (c *config) ceilings() map[string]quota.Rule {
	rules := map[string]quota.Rule{}
	for name, class := range c.classes {
		if class.Limits != (Limits{}) {
			rules[name] = class.Limits.rule()
		}
	}
	return rules
}

// ContextWithClass names the class of the calls made with the context: see [WithClasses]. The
// first call of a name that is not there is a warning, also without WithClasses.
func ContextWithClass(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, classKey, name)
}

// ContextWithTenant names the tenant, such as a customer, for whom calls are made with the
// context. While there is not enough for all, the tenants of a class share equally what the
// class gets, over the whole fleet. A tenant's calls of a model start in the order in which
// they came. Calls without a tenant count as those of one more. Any name will do, and there may
// be any number: a tenant costs something only while its calls wait, or while it has had more
// than its share. Of a class at most 10,000 such tenants are known at a time: of more, those that
// would be next are forgotten, and what they have had counts no more. A name longer than 128
// bytes is replaced by a digest. A tenant shares a budget; an account pays for it.
func ContextWithTenant(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, tenantKey, name)
}

// flow is on whose behalf a call is made, and the longest wait of its class, or 0.
func (l *Limiter) flow(ctx context.Context) (flow backend.Flow, maxWait time.Duration) {
	flow.Tenant, _ = value[string](ctx, tenantKey)
	if len(flow.Tenant) > longestName {
		flow.Tenant = "sha256:" + digest.Of(flow.Tenant)
	}
	classes := *l.classes.Load()
	name, _ := value[string](ctx, classKey)
	class, ok := classes[name]
	if !ok {
		if name != "" {
			l.warnOfClass(ctx, name, classes)
		}
		name, class = "", classes[""]
	}
	flow.Class, flow.Weight = name, class.Weight
	return flow, class.MaxWait
}
