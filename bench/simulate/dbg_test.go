package simulate
import ("testing";"testing/synctest";"fmt";"time";"context";"os";"regexp")
func TestDbg(t *testing.T) {
	if os.Getenv("DBG")=="" { t.Skip() }
	which := regexp.MustCompile(os.Getenv("DBG"))
	for i := range batches { b := &batches[i]; if !which.MatchString(b.name) {continue}
	synctest.Test(t, func(*testing.T) {
		p := ours
		p.new = func(w *world) fleet { f := ours.new(w); w.calls.Go(func(){
			n := 0
			for k := 0; sleep(w.ctx, 200*time.Millisecond); k++ {
				if w.now() > 6*time.Second && k%10 != 0 {continue}
				ls := f.(*limiters)
				ls.mu.Lock(); l := ls.all[0]; ls.mu.Unlock()
				st, _ := l.State(context.Background())
				w.mu.Lock(); open, done, ref := 0,0,0
				for _, j := range w.jobs { if j.started>0 {done++}; if j.started>0&&j.ended==0 {open++} }
				for _, a := range w.attempts { if a.refused {ref++} }
				w.mu.Unlock()
				fmt.Printf("t=%5.1f started %d flying %d 429s +%d", w.now().Seconds(), done, open, ref-n); n = ref
				for _, x := range w.server.Account(model).Buckets { fmt.Printf(" %v %.0f/%d", x.Limit, x.Used, x.Capacity) }
				for _, m := range st.Scopes { fmt.Printf(" paused %v", m.Paused); for _, x := range m.Limits { fmt.Printf(" | %s lim %d rem %d margin %d kept %v", x.Name, x.Limit, x.Remaining, x.Margin, x.KeepsUnused) } }
				fmt.Println()
			}}); return f }
		fmt.Println(b.name, b.run(&p, 1))
	})}
}
