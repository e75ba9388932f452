package simulate

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// TestStructLibrary holds the library that miniredis lacks to encoding/binary.
func TestStructLibrary(t *testing.T) {
	server := miniredis.NewMiniRedis()
	defer server.Close()
	client := dial(server)
	defer client.Close()
	random := rand.New(rand.NewPCG(9, 9))
	values := []float64{0, 1, -1, 0.1, math.MaxFloat64, -math.MaxFloat64, math.Inf(1), math.Inf(-1), 1 << 53, math.Pi * 1e15, 1e-300}
	for range 200 {
		values = append(values, (random.Float64()-0.5)*math.Pow(10, float64(random.IntN(40)-20)))
	}
	var packed []byte
	for _, v := range values {
		packed = binary.LittleEndian.AppendUint64(packed, math.Float64bits(v))
	}
	format := "'<" + strings.Repeat("d", len(values)) + "'"
	ctx := context.Background()

	got, err := client.Eval(ctx, structLibrary+"return struct.pack("+format+", struct.unpack("+format+", ARGV[1]))", nil, string(packed)).Text()
	if err != nil || got != string(packed) {
		t.Errorf("pack: %v; the bytes differ", err)
	}

	// Unpacking begins in the middle, and says where it has ended.
	texts, err := client.Eval(ctx, structLibrary+`
		local v = {struct.unpack(`+format+`, ARGV[1], 4)}
		for i = 1, #v do
			v[i] = string.format('%.17g', v[i])
		end
		return v`, nil, "abc"+string(packed)).StringSlice()
	if err != nil || len(texts) != len(values)+1 {
		t.Fatalf("unpack: %v; %d values", err, len(texts))
	}
	for i, v := range values {
		if x, err := strconv.ParseFloat(texts[i], 64); err != nil || x != v {
			t.Errorf("unpack: %s; want %v", texts[i], v)
		}
	}
	if end := texts[len(values)]; end != fmt.Sprint(4+len(packed)) {
		t.Errorf("unpack ends at %s", end)
	}

	// The other order of bytes, whose own order is that of the numbers, and strings between.
	big := binary.BigEndian.AppendUint64(nil, math.Float64bits(math.Pi))
	big = binary.BigEndian.AppendUint64(append(big, "abcdefghijkl"...), math.Float64bits(-1e300))
	got, err = client.Eval(ctx, structLibrary+`
		local x, s, y, at = struct.unpack('>dc12d', ARGV[1])
		return struct.pack('>d', x) .. s .. struct.pack('>d', y) .. at`, nil, string(big)).Text()
	if err != nil || got != string(big)+"29" {
		t.Errorf("%v; got %q, want %q and 29", err, got, big)
	}
}
