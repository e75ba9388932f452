package redis

import (
	"errors"
	"testing"
	"time"
)

// Notes fail as asks do, and with the same errors.
func TestNotesFail(t *testing.T) {
	cases := []struct {
		name  string
		want  error
		cause func(t *testing.T, b *Backend)
	}{
		{"denied", ErrDenied, func(_ *testing.T, b *Backend) { b.prefix = "elsewhere:" }},
		{"something else in the key", ErrOccupied, func(t *testing.T, b *Backend) {
			if err := admin(t, shared).RPush(t.Context(), b.noteKey("account", "m"), "x").Err(); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			b := New(client(t), prefix(), WithTimeout(10*time.Second))
			x.cause(t, b)
			if notes, err := b.Recall(t.Context(), "account", []string{"n", "m"}); !errors.Is(err, x.want) || notes != nil {
				t.Errorf("%v, %v; want %v", notes, err, x.want)
			}
		})
	}
}
