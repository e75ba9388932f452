package redis

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// FuzzReplies: whatever Redis replies, it is an error, or an answer that a script gives.
func FuzzReplies(f *testing.F) {
	pack := func(figures ...float64) string {
		var b []byte
		for _, x := range figures {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
		return string(b)
	}
	a := ask(0, fleetBuckets(), 1, 1)
	p := New(nil).prepare(&a)
	whole, tagged := []float64{2, 1e15, 0, 0, 0, 1, 0}, []float64{2, 1e15, 0, 0, 0, 1, 1, 7, 8} // one tag, of two costs
	fast := []float64{}
	for _, o := range p.owners {
		fast = append(fast, 1e15, 0, 0, 0)
		for _, k := range o.buckets {
			whole, tagged, fast = append(whole, 3, 2, 1), append(tagged, 3, 2, 1), append(fast, k.digest, 0, 3, 2, 1)
		}
	}
	for _, reply := range []string{
		"", ".", pack(whole...) + ".", pack(tagged...) + ".", pack(fast...), pack(whole[:5]...), pack(math.NaN()) + ".",
		pack(append([]float64{-1}, whole[1:]...)...) + ".", pack(append([]float64{3}, whole[1:]...)...) + ".",
		pack(append([]float64{math.Inf(1)}, whole[1:]...)...) + ".", strings.Repeat("\xff", 64),
	} {
		f.Add(reply)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		answer, err := decode(reply, p.owners, a.Buckets, len(a.Costs))
		if err != nil {
			return
		}
		n := len(a.Buckets)
		if answer.Granted < 0 || answer.Granted > len(a.Costs) || answer.Wait < 0 || answer.Paused < 0 || answer.Hint < 0 || answer.Tickets < 0 ||
			len(answer.Levels) != n || len(answer.Charged) != n || len(answer.Corrected) != n || answer.Tags != nil && len(answer.Tags) != len(a.Costs) {
			t.Errorf("%q: %+v", reply, answer)
		}
		for _, x := range append(append(append(answer.Tags, answer.Levels...), answer.Charged...), answer.Corrected...) {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Errorf("%q: %+v", reply, answer)
			}
		}
	})
	if f.Failed() {
		return
	}
	for _, other := range []any{nil, int64(1), []any{"a"}, 1.5, true} {
		if _, err := decode(other, p.owners, a.Buckets, 1); err == nil {
			f.Errorf("%v is an answer", other)
		}
	}
}

// FuzzScript: the scripts answer what the ledger does, to the last bit, whatever is asked.
func FuzzScript(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint16(200))
	}
	c := client(f)
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		h := newHistory(t, newVirtual(c), seed) // of its own prefix: a seed may come twice
		done := map[string]int{}
		for range steps % 1000 {
			done[h.step()]++
		}
		h.consistent(done)
	})
}
