package main

import "testing"

func TestPairs(t *testing.T) {
	for _, p := range pairs() {
		if err := p.with(); err != nil {
			t.Errorf("%s: %v", p.what, err)
		}
		if err := p.without(); err != nil {
			t.Errorf("%s, beside %s: %v", p.what, p.beside, err)
		}
	}
}
