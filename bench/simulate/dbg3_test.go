package simulate
import ("testing";"testing/synctest";"fmt";"time";"os";"regexp";"slices")
func TestDbg3(t *testing.T) {
	if os.Getenv("DBG3")=="" { t.Skip() }
	which := regexp.MustCompile(os.Getenv("DBG3"))
	for i := range batches { b := &batches[i]; if !which.MatchString(b.name) {continue}
	for _, base := range []policy{ours, oracle} {
	synctest.Test(t, func(*testing.T) {
		p := base
		var ww *world
		p.new = func(w *world) fleet { ww = w; return base.new(w) }
		x := b.run(&p, 1)
		fmt.Println(base.name, x)
		js := slices.Clone(ww.jobs)
		slices.SortFunc(js, func(a, b *job) int { return int(a.started-b.started) })
		for _, j := range js[len(js)-25:] { fmt.Printf("  %d p%d words %d cap %d submitted %.2f started %.2f ended %.2f\n", j.index, j.index%4, j.words, j.cap, j.submitted.Seconds(), j.started.Seconds(), j.ended.Seconds()) }
		for n := range 4 { c := 0; var last time.Duration; for _, j := range js { if j.index%4==n && j.started < x.makespan-8*time.Second {c++}; if j.index%4==n {last=max(last,j.started)} }; fmt.Println("process", n, "started", c, "8 s before; last", last) }
	})}
	}
}
