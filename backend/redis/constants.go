package redis

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/backend"
	"github.com/openai-ratelimiter/ratelimiter/internal/ledger"
)

const (
	// lease is how long after its last ask a ticket still counts, and erase when it is
	// forgotten.
	lease = time.Second
	erase = 10 * time.Second
	// asleep is how long the keys of a line live without asks.
	asleep = time.Minute
	// step is how much later than it must an account's hash expires, so that not every
	// call has to set that anew.
	step = time.Minute
	// crowd is how many fields an account has before idle ones are looked for.
	crowd = 64
)

// How many doubles Go packs for the scripts, and the scripts for Go.
const (
	headDoubles     = 6 // before what fast.lua wants: see numbers in ARGV[1]
	fastDoubles     = 4 // for each bucket that fast.lua looks at
	settleDoubles   = 5 // in ARGV[1] of a settlement, after the head
	settledDoubles  = 2 // and for each bucket
	describeDoubles = 7 // for each bucket in ARGV[-2]
	ownDoubles      = 4 // in ARGV[-1], before the buckets, with a meaning that differs by script
	startDoubles    = 3 // for each bucket in ARGV[-1]

	ownerDoubles  = 4 // in an owner's state, before its buckets
	bucketDoubles = 5 // for each of them
	answerDoubles = 6 // in an answer, before the buckets' figures
)

// The formats and the loops of the scripts have three dimensions.
var _ [3]int64 = backend.Amounts{}

// constants are the numbers that stand in the scripts as K.NAME. A number in the text
// is not one of the 200 locals that Lua allows a function, and is read faster.
var constants = map[string]string{
	"LEASE":  microseconds(lease),
	"ERASE":  microseconds(erase),
	"SLACK":  microseconds(ledger.Slack),
	"STEP":   microseconds(step),
	"ASLEEP": microseconds(asleep),
	"CROWD":  number(crowd),
	"SOON":   microseconds(ledger.Soon),
	"LATE":   microseconds(ledger.Late),
	"NEAR":   number(ledger.Near),
	"JITTER": number(ledger.Jitter),
	"HEADS":  number(ledger.Heads),
	"ROUNDS": number(ledger.Rounds),

	"GAP":     microseconds(ledger.Gap),
	"STEPPED": number(ledger.Stepped),
	"YOUNG":   microseconds(ledger.Young),

	"HEAD_DOUBLES":     number(headDoubles),
	"FAST_DOUBLES":     number(fastDoubles),
	"SETTLE_DOUBLES":   number(settleDoubles),
	"SETTLED_DOUBLES":  number(settledDoubles),
	"DESCRIBE_DOUBLES": number(describeDoubles),
	"OWN_DOUBLES":      number(ownDoubles),
	"START_DOUBLES":    number(startDoubles),
	"OWNER_DOUBLES":    number(ownerDoubles),
	"BUCKET_DOUBLES":   number(bucketDoubles),
	"ANSWER_DOUBLES":   number(answerDoubles),

	// An owner, unpacked: the first four numbers of its state, and ten for each of its
	// buckets, of which the first is its digest.
	"STAMP": "1", "SINCE": "2", "PAUSED": "3", "YOUNGEST": "4", "FIRST": "5", "SIZE": "10",
	// And beside a bucket's place:
	"NAME": "1", "DIMENSION": "2", "LIMIT": "3", "RATE": "4", "CAPACITY": "5", "USED": "6", "CHARGED": "7", "CORRECTED": "8", "BORN": "9",

	// Where in a ticket they begin; before them stand when it last asked, and its number.
	"NEED": "17", "PLACE": "41", "DIGEST": "49", "ANSWER": "53",
	// AFTER the digest of a class is after all of the class.
	"AFTER": `'\255'`,
}

func number(n float64) string             { return strconv.FormatFloat(n, 'f', -1, 64) }
func microseconds(d time.Duration) string { return number(float64(micros(d))) }

var constant = regexp.MustCompile(`\bK\.\w+`)

// fill writes the constants into a script.
func fill(source string) string {
	return constant.ReplaceAllStringFunc(source, func(name string) string {
		value, ok := constants[name[len("K."):]]
		if !ok {
			panic(fmt.Sprintf("redis: no constant %s", name))
		}
		return value
	})
}
