package statuspage

import (
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// use is what calls were charged in the last ten minutes, in steps of ten seconds.
type use struct {
	steps [useSteps]amount
	last  int64 // the latest step
}

const (
	useSteps  = 60
	useStep   = 10 * time.Second
	useMinute = int(time.Minute / useStep)
)

// An amount is of tokens, images and requests, as units names them.
type amount [3]int64

var units = [len(amount{})]string{"tokens", "images", "requests"}

func amounts(c ratelimiter.Cost) amount { return amount{c.Tokens, c.Images, c.Requests} }

func stepOf(t time.Time) int64 { return t.UnixNano() / int64(useStep) }

// advance forgets what is older than ten minutes.
func (u *use) advance(now time.Time) {
	to := stepOf(now)
	for n := max(u.last+1, to-useSteps+1); n <= to; n++ {
		u.steps[n%useSteps] = amount{}
	}
	u.last = max(u.last, to)
}

// add counts an amount for a step that may be over.
func (u *use) add(now, at time.Time, n amount) {
	u.advance(now)
	if step := stepOf(at); step > u.last-useSteps && step <= u.last {
		for d := range n {
			u.steps[step%useSteps][d] += n[d]
		}
	}
}

// join adds what another has counted.
func (u *use) join(other *use, now time.Time) {
	u.advance(now)
	other.advance(now)
	for i := range useSteps {
		step := u.last - int64(i)
		for d := range units {
			u.steps[step%useSteps][d] += other.steps[step%useSteps][d]
		}
	}
}

// series returns a unit that was used and its amounts, the oldest first: the first of those that
// are limited, or else of all. Nothing used has no unit.
func (u *use) series(now time.Time, limited [len(units)]bool) (unit string, amounts []int64) {
	u.advance(now)
	found := false // one that is limited
	for d := range units {
		if unit != "" && (found || !limited[d]) {
			continue
		}
		of, used := make([]int64, useSteps), false
		for i := range of {
			of[i] = max(0, u.steps[(u.last+1+int64(i))%useSteps][d])
			used = used || of[i] != 0
		}
		if used {
			unit, amounts, found = units[d], of, limited[d]
		}
	}
	return unit, amounts
}
