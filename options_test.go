package ratelimiter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

func TestFaultsAreReportedTogether(t *testing.T) {
	limits := ratelimiter.Limits{RPM: 10}
	_, err := ratelimiter.New(
		ratelimiter.WithLimits("", limits),
		ratelimiter.WithLimits("a", ratelimiter.Limits{RPM: -1, TPM: -2}),
		ratelimiter.WithLimits("b", ratelimiter.Limits{RPM: 1, Burst: 2 * time.Minute}),
		ratelimiter.WithLimits("c", ratelimiter.Limits{RPD: 1, Burst: time.Second}),
		ratelimiter.WithLimits("d", ratelimiter.Limits{}),
		ratelimiter.WithLimits("e", ratelimiter.Limits{TPM: 1 << 50}),
		ratelimiter.WithLimits("f", ratelimiter.Limits{RPM: 100, RPD: 10}),
		ratelimiter.WithLimits("g", ratelimiter.Limits{TPM: 100, TPD: 10}),
		ratelimiter.WithLimits("h", limits), ratelimiter.WithLimits(" H ", ratelimiter.Limits{RPM: 20}),
		ratelimiter.WithShared("x", limits, "m", "n"), ratelimiter.WithShared("y", limits, "n"),
		ratelimiter.WithShared("x", limits, "o"), ratelimiter.WithShared("z", limits), ratelimiter.WithShared("", limits, " "),
		ratelimiter.WithAccountLimits(limits), ratelimiter.WithAccountLimits(limits),
		ratelimiter.WithAccount(""), ratelimiter.WithBackend(nil),
		ratelimiter.WithMaxWait(-1), ratelimiter.WithMaxPause(0), ratelimiter.WithCounter(nil),
	)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`WithLimits: the model's name is empty`,
		`WithLimits("a"): RPM is -1`, `WithLimits("a"): TPM is -2`,
		`WithLimits("b"): Burst is 2m0s: it is above the minute`,
		`WithLimits("c"): Burst is set without a limit per minute`,
		`WithLimits("d"): no limit is set`,
		`WithLimits("e"): TPM is 1125899906842624: the most is`,
		`WithLimits("f"): RPM 100 is above RPD 10`,
		`WithLimits("g"): TPM 100 is above TPD 10`,
		`WithLimits: model "h" has two rules`,
		`model "n" is in two families, "x" and "y"`,
		`WithShared("x"): the family is given twice`,
		`WithShared("z"): no models are named`,
		`WithShared: the family's name is empty`, `WithShared(""): a model's name is empty`,
		`WithAccountLimits is given twice`,
		`WithAccount: the name is empty`, `WithBackend: the backend is nil`,
		`WithMaxWait: -1ns is negative`, `WithMaxPause: 0s is not positive`,
		`WithCounter: the counter is nil`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported", want)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n < 20 {
		t.Errorf("%d lines in\n%v", n, err)
	}
}
