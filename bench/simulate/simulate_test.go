package simulate

import (
	"flag"
	"fmt"
	"regexp"
	"testing"
	"testing/synctest"
	"time"
)

var verbose = flag.Bool("refusals", false, "when")

var from = flag.Int("from", 0, "second")

var only = flag.String("scenario", "", "a regular expression")

func TestSimulate(t *testing.T) {
	which := regexp.MustCompile(*only)
	for i := range scenarios {
		s := &scenarios[i]
		if !which.MatchString(s.name) {
			continue
		}
		began := time.Now()
		var o, f figures
		synctest.Test(t, func(t *testing.T) { o = run(s, &oracle).figures() })
		mid := time.Now()
		synctest.Test(t, func(t *testing.T) { f = run(s, &ours).figures() })
		fmt.Printf("%-42s share %6.2f %%  429s %6.2f/1000 (%d early, %d late of %d)  lost %d  p50 %6.1fs p99 %6.1fs large %5.1fs | oracle %d tokens/min, 429s %d, p50 %.1fs p99 %.1fs large %.1fs | %v %v\n", s.name,
			100*f.share(&o, s), f.refusedPerThousand(), f.early, f.refused, f.total, f.lost, f.p50.Seconds(), f.p99.Seconds(), f.large.Seconds(),
			o.tokens*int64(time.Minute)/int64(s.duration-s.warm), o.refused+o.early, o.p50.Seconds(), o.p99.Seconds(), o.large.Seconds(), mid.Sub(began).Round(time.Millisecond), time.Since(mid).Round(time.Millisecond))
		if len(f.byProcess) > 1 {
			fmt.Println("   ", f.byProcess)
		}
		if *from > 0 && *from+60 < len(f.perSecond) {
			for sec := *from; sec < *from+60; sec++ {
				fmt.Printf(" %d:%d", sec, f.perSecond[sec])
			}
			fmt.Println()
		}
		for sec, n := range f.refusals {
			if n > 0 && testing.Verbose() && *verbose {
				fmt.Printf(" %d:%d", sec, n)
			}
		}
	}
}
