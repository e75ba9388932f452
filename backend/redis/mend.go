package redis

import (
	"context"
	_ "embed"
	"errors"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed mend.lua
var mendSource string

var mendScript = newScript("mend", mendSource)

// errReply is of a reply that no script gives where what it has read makes sense.
var errReply = errors.New("unexpected reply")

// mending runs one of the scripts of an account, whose arguments begin with these. What
// they read was written by others. If it makes no sense, so that the script fails or says
// what can't be, it is dropped, and the script runs once more.
func (b *Backend) mending(ctx context.Context, args []any, run func(ctx context.Context) error) error {
	begun := time.Now()
	err := run(ctx)
	if err == nil || !broken(err) { // which allocates
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, begun.Add(b.timeout))
	defer cancel()
	keys := args[2].(int)
	var n numbers
	n.add(version)
	mend := append([]any{nil, nil}, args[2:3+keys]...)
	mend = append(mend, []byte(n), args[3+keys+1])
	if _, mendErr := b.run(ctx, mendScript, true, mend); mendErr != nil {
		return err
	}
	return run(ctx)
}

// broken reports whether a script has failed by itself, or has replied what none does. What
// the server refuses is another matter.
func broken(err error) bool {
	if errors.Is(err, errReply) {
		return true
	}
	var reply goredis.Error
	if !errors.As(err, &reply) {
		return false
	}
	r, _ := refused(err)
	return r.text == "" && strings.Contains(reply.Error(), "user_script")
}
