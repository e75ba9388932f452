package ratelimiterotel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
)

// OpenTelemetry's own attributes, and ours.
const (
	modelKey     = attribute.Key("gen_ai.request.model")
	providerKey  = attribute.Key("gen_ai.provider.name")
	operationKey = attribute.Key("gen_ai.operation.name")
	tokenTypeKey = attribute.Key("gen_ai.token.type")
	errorTypeKey = attribute.Key("error.type")

	accountKey   = attribute.Key("ratelimiter.account")
	classKey     = attribute.Key("ratelimiter.class")
	resultKey    = attribute.Key("ratelimiter.result")
	limitKey     = attribute.Key("ratelimiter.limit.name")
	ownerKey     = attribute.Key("ratelimiter.limit.owner")
	unitKey      = attribute.Key("ratelimiter.unit")
	kindKey      = attribute.Key("ratelimiter.throttle.kind")
	directionKey = attribute.Key("ratelimiter.correction.direction")
	commandKey   = attribute.Key("ratelimiter.backend.command")
	shadowKey    = attribute.Key("ratelimiter.shadow")
	avoidedKey   = attribute.Key("ratelimiter.throttle.avoided")
)

// who is whom a call belongs to.
type who struct {
	account, model, class, endpoint string
	shadow                          bool // what is measured would have been
}

// attributes are those of a call, and more.
func (c *config) attributes(w who, more ...attribute.KeyValue) attribute.Set {
	attrs := more
	if w.shadow {
		attrs = append(attrs, shadowKey.Bool(true))
	}
	for _, a := range [...]attribute.KeyValue{
		providerKey.String(c.provider),
		accountKey.String(c.account(w.account)), modelKey.String(w.model), classKey.String(w.class), operationKey.String(operation(w.endpoint)),
	} {
		if a.Value.AsString() != "" {
			attrs = append(attrs, a)
		}
	}
	return attribute.NewSet(attrs...)
}

// account is how an account is called in attributes.
func (c *config) account(name string) string {
	if name == "" || c.clear {
		return name
	}
	return digest.Of(name)
}

// operation is the convention's name for what an endpoint does, or else the endpoint's.
func operation(endpoint string) string {
	switch endpoint {
	case "chat/completions", "responses":
		return "chat"
	case "completions":
		return "text_completion"
	}
	return endpoint // also "embeddings"
}

// limitOf names the limit that a call was rejected for, or "".
func limitOf(err error) string {
	var e *ratelimiter.Error
	if !errors.As(err, &e) || e.Unit == "" {
		return ""
	}
	switch e.Period {
	case 0:
		return "concurrent" // calls in flight have none
	case time.Minute:
		return e.Unit[:1] + "pm"
	case 24 * time.Hour:
		return e.Unit[:1] + "pd"
	}
	return fmt.Sprintf("%s per %v", e.Unit, e.Period)
}

// failure is the type of a backend's error, or "" if it has answered.
func failure(i ratelimiter.CommandInfo) string {
	var timeout interface{ Timeout() bool }
	switch {
	case i.Err == nil || errors.Is(i.Err, backend.ErrTooLarge):
		return ""
	case errors.Is(i.Err, context.DeadlineExceeded), errors.As(i.Err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return fmt.Sprintf("%T", i.Err)
}
