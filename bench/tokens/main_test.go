package main

import (
	"testing"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

func TestCounters(t *testing.T) {
	all, err := trios()
	if err != nil {
		t.Fatal(err)
	}
	texts, err := ordinary(1_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, trio := range all {
		for _, text := range texts {
			ours, pkoukk := trio.countOurs([]byte(text.content)), trio.countPkoukk(text.content)
			if ours != pkoukk || ours == 0 {
				t.Errorf("%s, %s: %d tokens, pkoukk %d", trio.name, text.name, ours, pkoukk)
			}
			if n := trio.countTokenizer(text.content); n <= 0 {
				t.Errorf("%s, %s: tokenizer fails", trio.name, text.name)
			}
		}
	}
}

// What is compared must do the same work.
func TestScanners(t *testing.T) {
	for name, body := range map[string][]byte{"conversation": conversation(10_000), "image": withImage(10_000)} {
		if scanGJSON(body) == 0 || scanJSON(body) == 0 {
			t.Errorf("%s: nothing was found", name)
		}
		if e := costing.JSON(wire.Chat, "", body, free{}); e.Model != "gpt-4o" || e.Output == 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
