package main

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter"
)

// parseLimits reads the figures of a setting.
func parseLimits(s setting) (ratelimiter.Limits, []fault) {
	var l ratelimiter.Limits
	faults := s.parse(figuresOf(&l))
	return l, faults
}

// figuresOf are those that limits may have.
func figuresOf(l *ratelimiter.Limits) []figure {
	amount := func(to *int64) func(string) error {
		return func(text string) (err error) { *to, err = parseAmount(text); return err }
	}
	return []figure{
		{"rpm", amount(&l.RPM)}, {"rpd", amount(&l.RPD)}, {"tpm", amount(&l.TPM)}, {"tpd", amount(&l.TPD)},
		{"ipm", amount(&l.IPM)}, {"concurrent", amount(&l.Concurrent)},
		{"burst", func(text string) (err error) { l.Burst, err = duration(text); return err }},
	}
}

// parseClass reads those of a class, limits of its own among them.
func parseClass(s setting) (ratelimiter.Class, []fault) {
	var class ratelimiter.Class
	faults := s.parse(append([]figure{
		{"weight", func(text string) (err error) {
			switch class.Weight, err = strconv.ParseFloat(text, 64); {
			case err != nil:
				return fmt.Errorf("%q is not a number", text)
			case class.Weight == 0: // which the library takes for 1
				return errors.New("a weight must be positive: leave it out for 1")
			}
			return nil
		}},
		{"max-wait", func(text string) (err error) {
			if class.MaxWait, err = duration(text); err == nil && class.MaxWait == 0 { // which the library takes for none
				return errors.New("a class's longest wait must be positive, such as 1ms: leave it out for that of all calls")
			}
			return err
		}},
	}, figuresOf(&class.Limits)...))
	return class, faults
}

// A figure is one that a setting may have.
type figure struct {
	key string
	set func(text string) error
}

func (s *setting) parse(known []figure) []fault {
	var faults []fault
	seen := map[string]bool{}
	for _, f := range s.fields {
		i := slices.IndexFunc(known, func(k figure) bool { return k.key == f.key })
		var err error
		switch {
		case i < 0:
			err = fmt.Errorf("it is not one of %s", list(known))
		case seen[f.key]:
			err = errors.New("it is set twice")
		default:
			err = known[i].set(f.text)
		}
		seen[f.key] = true
		if err != nil {
			faults = append(faults, fault{f.at.under(f.key), err.Error()})
		}
	}
	return faults
}

func list(known []figure) string {
	var names []string
	for _, k := range known {
		names = append(names, k.key)
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

var number = regexp.MustCompile(`^([0-9_]+(?:\.[0-9]+)?)([kKmM]?)$`)

// parseAmount reads 500, 200k, 1.5M or 30_000.
func parseAmount(text string) (int64, error) {
	form := fmt.Errorf("%q is not a number such as 500, 200k or 1.5M", text)
	parts := number.FindStringSubmatch(text)
	if parts == nil {
		return 0, form
	}
	r, ok := new(big.Rat).SetString(strings.ReplaceAll(parts[1], "_", ""))
	if !ok {
		return 0, form
	}
	switch strings.ToLower(parts[2]) {
	case "k":
		r.Mul(r, big.NewRat(1_000, 1))
	case "m":
		r.Mul(r, big.NewRat(1_000_000, 1))
	}
	switch {
	case !r.IsInt():
		return 0, fmt.Errorf("%q is not a whole number", text)
	case !r.Num().IsInt64():
		return 0, fmt.Errorf("%q is too large", text)
	case r.Sign() == 0:
		return 0, errors.New("a limit must be positive: leave it out if there is none")
	}
	return r.Num().Int64(), nil
}
