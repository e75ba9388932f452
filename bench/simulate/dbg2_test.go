package simulate
import ("testing";"testing/synctest";"fmt";"time";"os";"regexp")
func TestDbg2(t *testing.T) {
	if os.Getenv("DBG2")=="" { t.Skip() }
	which := regexp.MustCompile(os.Getenv("DBG2"))
	for i := range batches { b := &batches[i]; if !which.MatchString(b.name) {continue}
	for seed := range 3 {
	var lines [2]map[int]string
	for k, base := range []policy{ours, oracle} {
	lines[k] = map[int]string{}
	synctest.Test(t, func(*testing.T) {
		p := base
		p.new = func(w *world) fleet { f := base.new(w); w.calls.Go(func(){
			for n := 0; sleep(w.ctx, time.Second); n++ {
				w.mu.Lock(); var tok int64
				for _, a := range w.attempts { if !a.refused {tok += a.cost.Tokens} }
				w.mu.Unlock()
				used := 0.0
				for _, x := range w.server.Account(model).Buckets { if x.Limit.String()=="TPM" {used = x.Used} }
				lines[k][n] = fmt.Sprintf("%8d %8.0f", tok, used)
			}}); return f }
		x := b.run(&p, uint64(seed+1))
		fmt.Println(base.name, x)
	})}
	for n := range lines[0] { _ = n }
	for n := 0; n < 70; n++ { if n < 12 || n%6==0 { fmt.Println(n+1, lines[0][n], "|", lines[1][n]) } }
	}}
}
