package ratelimiter_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// loggedAt is logged for all of a level.
func loggedAt(level slog.Level) (*slog.Logger, *lines) {
	var w lines
	return slog.New(slog.NewTextHandler(&w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), &w
}

// wantLines compares what was logged, without the group's name.
func wantLines(t *testing.T, log *lines, want ...string) {
	t.Helper()
	got := log.take()
	for line := range strings.Lines(got) {
		for _, attr := range strings.Fields(line)[1:] {
			if key, _, isAttr := strings.Cut(attr, "="); isAttr && key != "msg" && !strings.HasPrefix(key, "ratelimiter.") {
				t.Errorf("%q is outside the group in %s", attr, line)
			}
		}
	}
	got = strings.ReplaceAll(got, "ratelimiter.", "")
	if w := strings.Join(append(want, ""), "\n"); got != w {
		t.Errorf("logged:\n%swant:\n%s", got, w)
	}
}

// digestOfA is that of the account "a".
const digestOfA = "9410192ef784efeb253d14375ff01834"

// Each event is a line of its level, with constant words.
func TestLogTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := loggedAt(slog.LevelDebug)
		l := newWarm(t, ratelimiter.WithTrace(ratelimiter.LogTrace(logger, nil)),
			ratelimiter.WithClasses(map[string]ratelimiter.Class{"batch": {}}))
		log.take()
		const who = "account=" + digestOfA + " model=m"
		ctx := ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(t.Context(), "batch"), "kim")
		r, err := l.Acquire(ctx, tokens(600))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.Settle(ratelimiter.Usage{TotalTokens: 599})
		acquire(t, l, tokens(60)).Cancel()
		_, err = l.Acquire(ratelimiter.ContextWithMaxWait(t.Context(), 0), tokens(601))
		if err == nil {
			t.Fatal("no error")
		}
		wantLines(t, log,
			`level=DEBUG msg="ratelimiter: call started" `+who+` class=batch tenant=kim cost.requests=1 cost.tokens=600 waited=0s`,
			`level=DEBUG msg="ratelimiter: call settled" `+who+` class=batch tenant=kim charged.requests=1 charged.tokens=600 final.requests=1 final.tokens=599 took=1s`,
			`level=DEBUG msg="ratelimiter: call waits" `+who+` cost.requests=1 cost.tokens=60 ahead=0 wait_at_least=5s`,
			`level=DEBUG msg="ratelimiter: call started" `+who+` cost.requests=1 cost.tokens=60 waited=5s`,
			`level=DEBUG msg="ratelimiter: call settled" `+who+` charged.requests=1 charged.tokens=60 took=0s`,
			`level=DEBUG msg="ratelimiter: call not started" `+who+` waited=0s error="ratelimiter: m: needs 601 tokens, the limit is 600 per minute (configured): shorten the input or lower max_tokens"`,
		)
	})
}

// A call that finds no slot free says so.
func TestLogTraceOfAWaitForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := loggedAt(slog.LevelDebug)
		l := newLimiter(t, oneAtATime, ratelimiter.WithAccount("a"), ratelimiter.WithTrace(ratelimiter.LogTrace(logger, &ratelimiter.LogOptions{Accounts: true})))
		warm(t, l, "m")
		r := acquire(t, l, tokens(1))
		log.take()
		go func() { acquire(t, l, tokens(1)).Settle(ratelimiter.Usage{}) }()
		synctest.Wait()
		wantLines(t, log, `level=DEBUG msg="ratelimiter: call waits" account=a model=m cost.requests=1 cost.tokens=1 ahead=0 wait_at_least=0s slot=true`)
		r.Settle(ratelimiter.Usage{})
		synctest.Wait()
	})
}

// Limits are logged as they change, and throttles as warnings; the account in the clear
// only if asked. The rest is for other levels.
func TestLogTraceOfResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := loggedAt(slog.LevelInfo)
		l := newLimiter(t, ratelimiter.WithAccount("a"),
			ratelimiter.WithTrace(ratelimiter.LogTrace(logger, &ratelimiter.LogOptions{Accounts: true})))
		limit, status, body := "500", 200, usageBody
		client := l.Client(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			resp := response(status, "application/json", io.NopCloser(strings.NewReader(body)))
			resp.Header.Set("x-ratelimit-limit-tokens", limit)
			resp.Header.Set("x-ratelimit-remaining-tokens", "400")
			return resp, nil
		}))
		send := func() { post(t, client, chatURL, chatBody("m", 10, false)); synctest.Wait() }
		send()
		send()
		limit = "700"
		send()
		status, body = 429, `{"error":{"message":"Rate limit reached. Please try again in 20s.","code":"rate_limit_exceeded"}}`
		send()
		wantLines(t, log,
			`level=INFO msg="ratelimiter: server reports a limit" account=a model=m unit=tokens limit=500 was=0`,
			`level=INFO msg="ratelimiter: server reports a limit" account=a model=m unit=tokens limit=700 was=500`,
			`level=WARN msg="ratelimiter: throttled by the server" account=a model=m kind=rate_limit pause=20s message="Rate limit reached. Please try again in 20s."`,
		)
	})
}

// What belongs to no call: the backend and hosts; a nil logger is the default one of the time.
func TestLogTraceOfTheRest(t *testing.T) {
	trace := ratelimiter.LogTrace(nil, nil)
	logger, log := loggedAt(slog.LevelInfo)
	was := slog.Default()
	slog.SetDefault(logger)
	defer slog.SetDefault(was)
	trace.Backend(errors.New("connection refused"))
	trace.Backend(nil)
	trace.Credentials(t.Context(), ratelimiter.CredentialsInfo{Host: "api.test", Credentials: 9})
	trace.Credentials(t.Context(), ratelimiter.CredentialsInfo{Host: "api.test", Nameless: true})
	trace.NotStarted(t.Context(), ratelimiter.NotStartedInfo{Model: "m", Err: context.Canceled})
	wantLines(t, log,
		`level=WARN msg="ratelimiter: backend does not answer" error="connection refused"`,
		`level=INFO msg="ratelimiter: backend answers again"`,
		`level=WARN msg="ratelimiter: many credentials, each with a budget of its own" host=api.test credentials=9`,
		`level=WARN msg="ratelimiter: a token that names nobody, whose bearers are one account" host=api.test`,
	)
}

// Names of models may come from anywhere, so no more than some limits are remembered, and
// those that are go on being logged.
func TestLogTraceForgetsNoLimit(t *testing.T) {
	logger, log := loggedAt(slog.LevelInfo)
	trace := ratelimiter.LogTrace(logger, nil)
	report := func(model string, limit int64) {
		trace.Observed(t.Context(), ratelimiter.ObservedInfo{Model: model, Tokens: ratelimiter.Observation{Limit: limit}})
	}
	if report("", 600); log.take() != "" {
		t.Error("a request that is not limited is reported")
	}
	for i := range 2000 {
		report("m"+strings.Repeat("x", i), 500)
	}
	if n := strings.Count(log.take(), "\n"); n != 1024 {
		t.Errorf("%d limits are remembered", n)
	}
	report("m", 0) // of a response that says nothing
	report("m", 500)
	report("m", 600)
	wantLines(t, log, `level=INFO msg="ratelimiter: server reports a limit" model=m unit=tokens limit=600 was=500`)
}

// Errors and states are groups in a log, without accounts in the clear.
func TestLogValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := loggedAt(slog.LevelInfo)
		logger = logger.WithGroup("ratelimiter")
		l := newWarm(t, ratelimiter.WithAccountLimits(ratelimiter.Limits{RPD: 10_000}))
		acquire(t, l, tokens(600)).Settle(ratelimiter.Usage{})
		_, err := l.Acquire(ratelimiter.ContextWithMaxWait(t.Context(), time.Second), tokens(60))
		logger.Info("x", "err", err)
		state, stateErr := l.State(t.Context())
		if stateErr != nil {
			t.Fatal(stateErr)
		}
		logger.Info("x", "state", state)
		logger.Info("x", "state", ratelimiter.State{Scopes: []ratelimiter.ScopeState{{
			Unused: true,
			Limits: []ratelimiter.LimitState{{Name: "rpm", Limit: 5, Source: "configured", Unknown: true}, {
				Name: "tpm", Limit: 6, Source: "x", Burst: time.Second, Ignored: 2 * time.Second, Age: 3 * time.Second, Ramp: 4, KeepsUnused: true,
			}},
		}}})
		logger.Info("x", "err", (*ratelimiter.Error)(nil))
		logger.Info("x", "err", &ratelimiter.Error{Reason: ratelimiter.ErrNoAccount})
		wantLines(t, log,
			`level=INFO msg=x err.message="ratelimiter: m: the call can't start within its longest wait: it would wait at least 6s for 60 tokens of 600 per minute, but has only 1s"`+
				` err.code=max_wait err.account=`+digestOfA+` err.model=m err.cost.requests=1 err.cost.tokens=60 err.unit=tokens err.need=60 err.limit=600 err.period=1m0s err.source=configured err.waited=0s err.retry_after=6s err.allowed=1s`,
			`level=INFO msg=x state.account=`+digestOfA+` state.m.waiting=0 state.m.in_flight=0 state.m.oldest=0s state.m.paused=0s`+
				` state.m.rpm.limit=600 state.m.rpm.source=configured state.m.rpm.remaining=599 state.m.rpm.reset=100ms state.m.rpm.margin=1`+
				` state.m.tpm.limit=600 state.m.tpm.source=configured state.m.tpm.remaining=0 state.m.tpm.reset=1m0s state.m.tpm.margin=1`+
				` state.m.account/rpd.limit=10000 state.m.account/rpd.source=configured state.m.account/rpd.remaining=9999 state.m.account/rpd.reset=8.64s state.m.account/rpd.margin=0`,
			`level=INFO msg=x state.no_model.waiting=0 state.no_model.in_flight=0 state.no_model.oldest=0s state.no_model.paused=0s state.no_model.unused=true`+
				` state.no_model.rpm.limit=5 state.no_model.rpm.source=configured state.no_model.rpm.unknown=true state.no_model.rpm.margin=0`+
				` state.no_model.tpm.limit=6 state.no_model.tpm.source=x state.no_model.tpm.remaining=0 state.no_model.tpm.reset=0s state.no_model.tpm.margin=0`+
				` state.no_model.tpm.burst=1s state.no_model.tpm.ignored=2s state.no_model.tpm.age=3s state.no_model.tpm.ramp=4 state.no_model.tpm.keeps_unused=true`,
			`level=INFO msg=x err="ratelimiter: the call is rejected"`,
			`level=INFO msg=x err.message="ratelimiter: no account is named, and there are several: use WithAccount or ContextWithAccount" err.code="no account is named, and there are several" err.waited=0s err.retry_after=0s`,
		)
	})
}

// Lines about what would have been say so.
func TestLogInShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := loggedAt(slog.LevelDebug)
		l := newLimiter(t, ratelimiter.WithShadow(), ratelimiter.WithAccount("a"), ratelimiter.WithWarnings(logger, time.Second),
			ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: 600, TPM: 600}), ratelimiter.WithTrace(ratelimiter.LogTrace(logger, nil)))
		warmInShadow(t, l)
		log.take()
		const who = "account=" + digestOfA + " model=m shadow=true"
		acquire(t, l, tokens(600))
		synctest.Wait()
		acquire(t, l, tokens(100))
		synctest.Wait()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		wantLines(t, log,
			`level=DEBUG msg="ratelimiter: call started" `+who+` cost.requests=1 cost.tokens=600 waited=0s`,
			`level=DEBUG msg="ratelimiter: call waits" `+who+` cost.requests=1 cost.tokens=100 ahead=0 wait_at_least=10.1s`,
			`level=WARN msg="ratelimiter: calls would wait long" model=m waited=1s limit="600 tokens per minute" wait_at_least=9.1s ahead=0 waiting=1`,
			`level=DEBUG msg="ratelimiter: call started" `+who+` cost.requests=1 cost.tokens=100 waited=10.1s`)
	})
}
