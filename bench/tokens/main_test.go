package main

import "testing"

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
