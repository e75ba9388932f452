package redis

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed head.lua
var headSource string

//go:embed fast.lua
var fastSource string

//go:embed clock.lua
var clockSource string

//go:embed core.lua
var coreSource string

//go:embed store.lua
var storeSource string

//go:embed flow.lua
var flowSource string

//go:embed line.lua
var lineSource string

//go:embed survey.lua
var surveySource string

//go:embed answer.lua
var answerSource string

//go:embed hint.lua
var hintSource string

//go:embed take.lua
var takeSource string

//go:embed look.lua
var lookSource string

//go:embed settlefast.lua
var settleFastSource string

//go:embed settle.lua
var settleSource string

//go:embed clear.lua
var clearSource string

//go:embed recall.lua
var recallSource string

var (
	takeScript   = newScript("take", headSource, fastSource, clockSource, coreSource, storeSource, flowSource, lineSource, surveySource, answerSource, hintSource, takeSource)
	lookScript   = newScript("look", headSource, clockSource, coreSource, storeSource, flowSource, lineSource, surveySource, answerSource, lookSource)
	settleScript = newScript("settle", headSource, settleFastSource, clockSource, coreSource, settleSource)
	clearScript  = newScript("clear", headSource, clockSource, coreSource, clearSource)
	recallScript = newScript("recall", recallSource)
)

type script struct{ name, source, sha string }

func newScript(name string, parts ...string) *script {
	source := fill(strings.Join(parts, "\n"))
	sum := sha1.Sum([]byte(source)) // names a script in Redis's cache
	return &script{name, source, hex.EncodeToString(sum[:])}
}

// run executes the script and returns its reply.
func (b *Backend) run(ctx context.Context, s *script, repeatable bool, args []any) (any, error) {
	return b.within(ctx, s.name, repeatable, func(ctx context.Context, ctxClient Client, again bool) (any, error) {
		if again && s == takeScript {
			return b.once(ctx, ctxClient, s, noted(args))
		}
		return b.once(ctx, ctxClient, s, args)
	})
}

// within sends an operation and returns its reply. What does no harm if it is
// repeated is sent once more if its reply was lost; the first attempt has half of the
// timeout. Whatever the server has refused to run, and may run in a moment, is sent
// again until the timeout.
func (b *Backend) within(ctx context.Context, op string, repeatable bool, send func(ctx context.Context, ctxClient Client, again bool) (any, error)) (any, error) {
	if b.fault != nil {
		return nil, &Error{Op: op, Cause: b.fault}
	}
	begun, ctxClient := time.Now(), b.ctxClient
	attempt, cancel := b.deadlines.after(ctx, begun, b.timeout/2)
	reply, err := send(attempt, ctxClient, false)
	cancel()
	var refusal error
	again := false // an attempt may still be under way
	for pause := firstPause; err != nil && ctx.Err() == nil; {
		switch r, replied := refused(err); {
		case r.passing:
			refusal = r.reason
			if time.Since(begun)+pause >= b.timeout*7/8 { // the rest is too short for an attempt
				return nil, wrap(op, err)
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return nil, wrap(op, err)
			}
			pause = min(2*pause, lastPause)
		case repeatable && !replied:
			repeatable, ctxClient, again = false, nil, true
		default:
			return nil, wrapAfter(refusal, op, err)
		}
		rest, cancel := context.WithDeadline(ctx, begun.Add(b.timeout))
		reply, err = send(rest, ctxClient, again)
		cancel()
	}
	return reply, wrapAfter(refusal, op, err)
}

// The pauses before an operation that was refused is sent again grow from the first to
// the last.
const firstPause, lastPause = 5 * time.Millisecond, 100 * time.Millisecond

// noted has an ask be noted whatever it changes: it may have been sent before, and come
// twice.
func noted(args []any) []any {
	args = slices.Clone(args)
	last := len(args) - 1
	numbers := slices.Clone(args[last].([]byte))
	clear(numbers[8*(ownDoubles-1) : 8*ownDoubles])
	args[last] = numbers
	return args
}

// once sends the script, and once more as a whole where Redis does not know it
// yet and so has not run it.
func (b *Backend) once(ctx context.Context, ctxClient Client, s *script, args []any) (any, error) {
	if ctxClient == nil {
		args = slices.Clone(args) // an attempt that was given up may still have them
	}
	reply, err := b.process(ctx, ctxClient, command(ctx, "evalsha", s.sha, args))
	if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
		reply, err = b.process(ctx, ctxClient, command(ctx, "eval", s.source, args))
	}
	return reply, err
}

// onlyOnce is a command that is sent at most once. go-redis sends others again
// when their reply was lost, and a script would charge twice.
type onlyOnce struct{ *goredis.Cmd }

// NoRetry implements [goredis.Cmder].
func (onlyOnce) NoRetry() bool { return true }

// command fills in the script.
func command(ctx context.Context, name, body string, args []any) onlyOnce {
	args[0], args[1] = name, body
	cmd := goredis.NewCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	return onlyOnce{cmd}
}

// process sends the command. While they wait for a reply, most clients do not
// look at the context, so that they are waited for from outside; a ctxClient,
// if there is one, needs no goroutine for that.
func (b *Backend) process(ctx context.Context, ctxClient Client, cmd onlyOnce) (any, error) {
	if ctxClient != nil {
		if err := ctxClient.Process(ctx, cmd); err != nil {
			return nil, err
		}
		return cmd.Val(), nil
	}
	done := make(chan result, 1)
	go func() { done <- resultOf(func() error { return b.client.Process(ctx, cmd) }) }()
	select {
	case r := <-done:
		if err := r.get(); err != nil {
			return nil, err
		}
		return cmd.Val(), nil
	case <-ctx.Done():
		return nil, ctx.Err() // cmd is no longer ours
	}
}

// newCtxClient returns the client if it ends a command with its context by itself, or nil.
// A copy of one with another timeout (goredis.Client.WithTimeout) would lack its hooks.
func newCtxClient(client Client) Client {
	switch c := client.(type) {
	case *goredis.Client:
		if c.Options().ContextTimeoutEnabled {
			return c
		}
	case *goredis.ClusterClient:
		if c.Options().ContextTimeoutEnabled {
			return c
		}
	}
	return nil
}
