package predict

import "testing"

// What is estimated or guessed is not certain.
func TestCertain(t *testing.T) {
	p := Of(&Body{Tokens: 100, Input: 80, Guessed: 10, Estimated: 50}, &Inputs{}, &Outputs{}, &Contexts{})
	if p.Tokens != 100 || p.Input != 80 || p.Certain != 40 {
		t.Errorf("%+v; want 40 of 100 to be certain", p)
	}
}
