package redis

import "testing"

// What was heard last is the latest time, or what was asked for after that was heard.
func TestHeard(t *testing.T) {
	for _, tt := range []struct{ stamp, sent, received, want int64 }{
		{70, 15, 40, 70}, // asked for at the same time, and later there
		{55, 16, 31, 60}, // and earlier
		{40, 30, 33, 60},
		{40, 31, 33, 40}, // the time has begun anew
	} {
		h := heard{60, 12, 30}
		if h.hear(tt.stamp, tt.sent, tt.received); h.stamp != tt.want {
			t.Errorf("%+v: %+v", tt, h)
		}
	}
	h := heard{1000, 100, 130}
	if b := h.bounds(500, 50); b.Earliest != 1370 || b.Latest != 1450 {
		t.Errorf("%+v; want what has passed since it was heard, and since it was asked for and until the answer", b)
	}
}
