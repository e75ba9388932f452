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

//go:embed settle.lua
var settleSource string

//go:embed clear.lua
var clearSource string

//go:embed recall.lua
var recallSource string

var (
	takeScript   = newScript("take", headSource, fastSource, clockSource, coreSource, storeSource, flowSource, lineSource, surveySource, answerSource, hintSource, takeSource)
	lookScript   = newScript("look", headSource, clockSource, coreSource, storeSource, flowSource, lineSource, surveySource, answerSource, lookSource)
	settleScript = newScript("settle", headSource, clockSource, coreSource, settleSource)
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
	return b.within(ctx, s.name, repeatable, func(ctx context.Context, ctxClient Client) (any, error) {
		return b.once(ctx, ctxClient, s, args)
	})
}

// within sends an operation and returns its reply. What does no harm if it is
// repeated is sent once more if its reply was lost. Either attempt has half of the
// timeout.
func (b *Backend) within(ctx context.Context, op string, repeatable bool, send func(context.Context, Client) (any, error)) (any, error) {
	if b.fault != nil {
		return nil, wrap(op, b.fault)
	}
	begun := time.Now()
	first, cancel := b.deadlines.after(ctx, begun, b.timeout/2)
	reply, err := send(first, b.ctxClient)
	cancel()
	if repeatable && err != nil && !isReply(err) && ctx.Err() == nil {
		rest, cancel := context.WithDeadline(ctx, begun.Add(b.timeout))
		defer cancel()
		reply, err = send(rest, nil)
	}
	return reply, wrap(op, err)
}

// once sends the script, and once more as a whole where Redis does not know it
// yet and so has not run it. Nor does it run while a Cluster moves the keys to
// another node, which is waited for.
func (b *Backend) once(ctx context.Context, ctxClient Client, s *script, args []any) (any, error) {
	if ctxClient == nil {
		args = slices.Clone(args) // an attempt that was given up may still have them
	}
	for {
		reply, err := b.process(ctx, ctxClient, command(ctx, "evalsha", s.sha, args))
		if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			reply, err = b.process(ctx, ctxClient, command(ctx, "eval", s.source, args))
		}
		if err == nil || !strings.HasPrefix(err.Error(), "TRYAGAIN") {
			return reply, err
		}
		select {
		case <-time.After(moving):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// moving is how long keys on the move are left alone.
const moving = 10 * time.Millisecond

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
	done := make(chan error, 1)
	go func() { done <- b.client.Process(ctx, cmd) }()
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
		return cmd.Val(), nil
	case <-ctx.Done():
		return nil, ctx.Err() // cmd is no longer ours
	}
}

// newCtxClient returns the client in a form that ends a command within the timeout by
// itself, or nil if there is none.
func newCtxClient(client Client, timeout time.Duration) Client {
	switch c := client.(type) {
	case *goredis.Client:
		if c.Options().ContextTimeoutEnabled {
			return c
		}
		return c.WithTimeout(timeout) // it shares c's connections and hooks
	case *goredis.ClusterClient:
		if c.Options().ContextTimeoutEnabled {
			return c
		}
	}
	return nil
}
