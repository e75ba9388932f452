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
	// rarely is which part of the asks look for flows that are over: each for as many as
	// those asks can bring.
	rarely = 16
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
	ownDoubles      = 5 // in ARGV[-1], before the buckets, with a meaning that differs by script
	startDoubles    = 3 // for each bucket in ARGV[-1]

	ownerDoubles  = 4 // in an owner's state, before its buckets
	bucketDoubles = 5 // for each of them

	costDoubles        = 5 // for each cost in ARGV[-1]
	descriptionDoubles = 6 // for each bucket in an owner's descriptions
)

// atOnce is how many arguments a command has at most that the scripts make up: Lua's
// stack has an end.
const atOnce = 1000

// most is more than any amount.
const most = 1e30

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
	"TRIES":  number(ledger.Tries),
	"FEW":    number(ledger.Heads + ledger.Tries + 2), // that a survey looks at, and one more
	"ROUNDS": number(ledger.Rounds),
	"PATROL": number(ledger.Patrol),
	"RARELY": number(rarely),

	// What is read of the store is none of ours if it is a time or a tag from LATEST on, an
	// amount from MOST on, or a version from VERSIONS on; if more than CLAIMANTS share slots;
	// or if the ask of a ticket that was answered last is LATE_ASKS ahead of what it asks.
	"LATEST": number(1e18), "MOST": number(most), "VERSIONS": number(1 << 20), "CLAIMANTS": number(1e6), "LATE_ASKS": number(1000),

	"DEEPEST": number(ledger.Deepest),
	"AT_ONCE": number(atOnce),

	"GAP":     microseconds(ledger.Gap),
	"TICK":    microseconds(ledger.Tick),
	"RENEW":   microseconds(ledger.Renew),
	"CLOSE":   microseconds(ledger.Close),
	"ERASED":  number(ledger.Erased),
	"TENANTS": number(ledger.Tenants),
	"YOUNG":   microseconds(ledger.Young),

	"SLOT_LEASE":       microseconds(ledger.SlotLease),
	"SLOT_STEP":        microseconds(ledger.SlotStep),
	"SLOT_RECOVERY":    microseconds(ledger.SlotRecovery),
	"SLOT_RENEW":       microseconds(ledger.SlotRenew),
	"SLOT_IDLE":        microseconds(ledger.SlotIdle),
	"SLOT_POLL":        microseconds(ledger.SlotPoll),
	"SLOT_POLL_EACH":   microseconds(ledger.SlotPollEach),
	"SLOT_TURN":        microseconds(ledger.SlotTurn),
	"SLOT_ONLY_TURN":   microseconds(ledger.SlotOnlyTurn),
	"SLOT_YIELD":       microseconds(ledger.SlotYield),
	"SLOT_FEW":         number(ledger.SlotFew),
	"SLOT_SURVEY_EACH": microseconds(ledger.SlotSurveyEach),
	"SLOT_ASLEEP":      number(float64(asleep.Milliseconds())),
	"ENDLESS":          number(ledger.Endless),

	"REPORTS":        number(backend.MaxReports),
	"REPORTS_ASLEEP": number(float64(asleep.Milliseconds())),

	"HEAD_DOUBLES":     number(headDoubles),
	"FAST_DOUBLES":     number(fastDoubles),
	"SETTLE_DOUBLES":   number(settleDoubles),
	"SETTLED_DOUBLES":  number(settledDoubles),
	"DESCRIBE_DOUBLES": number(describeDoubles),
	"OWN_DOUBLES":      number(ownDoubles),
	"START_DOUBLES":    number(startDoubles),
	"OWNER_DOUBLES":    number(ownerDoubles),
	"BUCKET_DOUBLES":   number(bucketDoubles),

	"COST_DOUBLES":        number(costDoubles),
	"DESCRIPTION_DOUBLES": number(descriptionDoubles),

	// An owner, unpacked: the first four numbers of its state, and eleven for each of its
	// buckets, of which the first is its digest.
	"STAMP": "1", "SINCE": "2", "PAUSED": "3", "YOUNGEST": "4", "FIRST": "5", "SIZE": "11",
	// And beside a bucket's place:
	"NAME": "1", "DIMENSION": "2", "LIMIT": "3", "RATE": "4", "CAPACITY": "5", "USED": "6", "CHARGED": "7", "CORRECTED": "8", "BORN": "9", "LOWERED": "10",

	// A line, and a node, a ticket and a part of one, unpacked: see store.lua and line.lua.
	"PLACES": "1", "EXPIRY": "2", "CLOCK": "3", "CAME": "4", "MEMBERS": "5", "RECORDS": "6", "TICKETS": "7",
	"SILENCED": "8", "BLOCKED": "9", "VIRTUAL": "10", "FINISH": "11", "NAMED": "12", "LAST": "13", "SURE": "14",
	"NODE_PLACE": "1", "DUE": "2", "STANDING": "3", "CHILDREN": "4", "NODE_NEED": "4", "NODE_END": "8",
	"NUMBER": "1", "TAG": "2", "TICKET_PLACE": "3", "TICKET_END": "4", "NEXT": "4", "NEED": "7",
	"SEEN": "11", "SILENT": "12", "PARTS": "13", "MARGINS": "113", // the byte where they begin
	"RIVAL_NEXT": "5", "RIVAL_NEED": "8", "RIVAL_ID": "12", "RIVAL_SHAPE": "13", "RIVAL_NODE": "14", "RIVAL_MEMBER": "15", "RIVAL_DRAWS": "16", "RIVAL_PARTS": "17",
	"RIVAL_RECORD": "18", "RIVAL_SAYS": "19", "RIVAL_STANDS": "20", "RIVAL_CEILINGS": "21", "RIVAL_MARGINS": "22",
	"COSTS": "1", "PART_TAG": "2", "PART_END": "3", "UNITS": "4", "WEIGHT": "5", "PACE": "6",
	// Beside where a cost begins.
	"COST_FLOW": "4", "COST_UNITS": "5",
	// AFTER the beginning of members is after all of them: a number begins with less.
	"AFTER": `'\255'`,
}

func number(n float64) string             { return strconv.FormatFloat(n, 'f', -1, 64) }
func microseconds(d time.Duration) string { return number(float64(ledger.Micros(d))) }

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
