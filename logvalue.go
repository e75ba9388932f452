package ratelimiter

import (
	"cmp"
	"log/slog"
	"time"
)

// LogValue implements slog.LogValuer: the error's code and what it was about, with the
// account as a digest of its name.
func (e *Error) LogValue() slog.Value {
	if e == nil || e.Reason == nil {
		return slog.StringValue(e.Error())
	}
	attrs := append([]slog.Attr{slog.String("message", e.Error()), slog.String("code", cmp.Or(e.Code(), e.Reason.Error()))},
		(&who{e.Account, e.Model, e.Class, e.Tenant, false}).attrs(false)...)
	attrs = append(attrs, costAttr("cost", e.Cost))
	if e.Unit != "" {
		if e.Owner != e.Model {
			attrs = append(attrs, slog.String("owner", e.Owner))
		}
		attrs = append(attrs, slog.String("unit", e.Unit), slog.Int64("need", e.Need), slog.Int64("limit", e.Limit), slog.Duration("period", e.Period))
		if e.Source != "" {
			attrs = append(attrs, slog.String("source", e.Source))
		}
		attrs = append(attrs, optional("age", e.Age))
	}
	attrs = append(attrs, slog.Duration("waited", e.Waited), slog.Duration("retry_after", e.RetryAfter()))
	attrs = append(attrs, optional("allowed", e.Allowed))
	if e.Waiting != 0 {
		attrs = append(attrs, slog.Int("waiting", e.Waiting), slog.Duration("oldest", e.Oldest))
	}
	if e.Cause != nil {
		attrs = append(attrs, slog.String("cause", e.Cause.Error()))
	}
	return slog.GroupValue(attrs...)
}

// LogValue implements slog.LogValuer: what the State's JSON says, with a group for each model,
// class and tenant and one for each limit of a model, and with the account as a digest of its
// name.
func (s State) LogValue() slog.Value {
	attrs := (&who{account: s.Account, shadow: s.Shadow}).attrs(false)
	if len(s.ManyCredentials) > 0 {
		attrs = append(attrs, slog.Any("many_credentials", s.ManyCredentials))
	}
	attrs = append(attrs, sharesAttr("classes", s.Classes), sharesAttr("tenants", s.Tenants))
	for i := range s.Scopes {
		attrs = append(attrs, slog.Attr{Key: s.Scopes[i].title(), Value: s.Scopes[i].logValue()})
	}
	return slog.GroupValue(attrs...)
}

// sharesAttr has a group for each of the shares. Without any it is left out.
func sharesAttr(key string, shares []ShareState) slog.Attr {
	var groups []slog.Attr
	for _, s := range shares {
		name := cmp.Or(s.Class, "no_class")
		if s.Tenant != "" {
			name = titled(s.Tenant, s.Class)
		}
		groups = append(groups, slog.GroupAttrs(name, slog.Int("waiting", s.Waiting), slog.Duration("oldest", s.Oldest),
			slog.Int64("charged", s.Charged), slog.Float64("share", s.Share)))
	}
	return slog.GroupAttrs(key, groups...)
}

// titled names what may be of a class.
func titled(name, class string) string {
	if class != "" {
		name += " of " + class
	}
	return name
}

func (s *ScopeState) title() string { return titled(cmp.Or(s.Model, "no_model"), s.Class) }

func (s *ScopeState) logValue() slog.Value {
	attrs := []slog.Attr{
		slog.Int("waiting", s.Waiting), slog.Int("in_flight", s.InFlight), slog.Duration("oldest", s.Oldest), slog.Duration("paused", s.Paused),
	}
	if s.Unused {
		attrs = append(attrs, slog.Bool("unused", true))
	}
	for i := range s.Limits {
		attrs = append(attrs, s.Limits[i].logAttr(s.Model))
	}
	return slog.GroupValue(attrs...)
}

// logAttr names the limit, and its owner if that is not the model.
func (l *LimitState) logAttr(model string) slog.Attr {
	name := l.Name
	if l.Owner != model {
		name = l.Owner + "/" + name
	}
	attrs := []slog.Attr{slog.Int64("limit", l.Limit), slog.String("source", l.Source)}
	if l.Unknown {
		attrs = append(attrs, slog.Bool("unknown", true))
	} else {
		attrs = append(attrs, slog.Int64("remaining", l.Remaining), slog.Duration("reset", l.Reset))
	}
	attrs = append(attrs, slog.Int64("margin", l.Margin), optional("burst", l.Burst), optional("ignored", l.Ignored), optional("age", l.Age))
	if l.Ramp != 0 {
		attrs = append(attrs, slog.Int64("ramp", l.Ramp))
	}
	if l.Pace != 0 {
		attrs = append(attrs, slog.Int64("pace", l.Pace))
	}
	if l.KeepsUnused {
		attrs = append(attrs, slog.Bool("keeps_unused", true))
	}
	return slog.GroupAttrs(name, attrs...)
}

// optional is a duration that is left out if it is 0.
func optional(key string, d time.Duration) slog.Attr {
	if d == 0 {
		return slog.Attr{}
	}
	return slog.Duration(key, d)
}

// costAttr is a cost without its zeros.
func costAttr(key string, c Cost) slog.Attr {
	var attrs []slog.Attr
	for _, n := range [...]struct {
		unit   string
		amount int64
	}{{"requests", c.Requests}, {"tokens", c.Tokens}, {"images", c.Images}} {
		if n.amount != 0 {
			attrs = append(attrs, slog.Int64(n.unit, n.amount))
		}
	}
	return slog.GroupAttrs(key, attrs...)
}

// errorAttr is an error as one line. It is nil where the caller got a panic.
func errorAttr(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.String("error", err.Error())
}
