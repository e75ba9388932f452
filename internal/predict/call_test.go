package predict

import (
	"testing"

	"pgregory.net/rapid"
)

// What a call will use: what its body states, and what that does not say.
func TestOf(t *testing.T) {
	var contexts Contexts
	contexts.Set("resp", 300)
	contexts.Set("conv", 500)
	contexts.Set("huge", largest)
	var outputs, unknown Outputs
	outputs.Add(40)
	var inputs Inputs // of calls with functions, which use a tenth more
	for i := range int64(fewInputs) {
		inputs.Add(100+100*i, 110+110*i)
	}
	for _, x := range []struct {
		name string
		body Body
		seen *Outputs
		want Prediction
	}{
		{"nothing", Body{}, &outputs, Prediction{}},
		{"what is declared", Body{Tokens: 100, Input: 60}, &outputs, Prediction{100, 60, 100}},
		{"a guess", Body{Tokens: 100, Input: 60, Guessed: 30}, &outputs, Prediction{100, 60, 70}},
		{"more guessed than there is", Body{Tokens: 100, Input: 60, Guessed: 130}, &outputs, Prediction{100, 60, 0}},

		{"undeclared", Body{Tokens: 60, Input: 60, Undeclared: true, Choices: 1}, &outputs, Prediction{100, 60, 60}},
		{"undeclared, nothing seen", Body{Tokens: 60, Input: 60, Undeclared: true, Choices: 1}, &unknown, Prediction{60 + unseen, 60, 60}},
		{"undeclared, three choices", Body{Tokens: 60, Input: 60, Undeclared: true, Choices: 3}, &outputs, Prediction{180, 60, 60}},
		{"undeclared, no choices", Body{Tokens: 60, Input: 60, Undeclared: true}, &outputs, Prediction{100, 60, 60}},
		{"undeclared, of a model that puts out less", Body{Tokens: 60, Input: 60, Undeclared: true, Choices: 2, MostOutput: 10}, &outputs, Prediction{80, 60, 60}},
		{"undeclared, of one that puts out a token", Body{Tokens: 60, Input: 60, Undeclared: true, MostOutput: 1}, &outputs, Prediction{61, 60, 60}},
		{"undeclared, of one that puts out more", Body{Tokens: 60, Input: 60, Undeclared: true, Choices: 1, MostOutput: 50}, &outputs, Prediction{100, 60, 60}},
		{"undeclared, but the body states more", Body{Tokens: 200, Input: 60, Undeclared: true, Choices: 1}, &outputs, Prediction{200, 60, 200}},
		{"undeclared, very many choices", Body{Tokens: 60, Input: 60, Undeclared: true, Choices: 1 << 50}, &outputs, Prediction{largest, 60, 60}},

		{"a response", Body{Tokens: 100, Input: 60, Previous: "resp"}, &outputs, Prediction{400, 360, 100}},
		{"a conversation", Body{Tokens: 100, Input: 60, Conversation: "conv"}, &outputs, Prediction{600, 560, 100}},
		{"the larger of both", Body{Tokens: 100, Input: 60, Previous: "resp", Conversation: "conv"}, &outputs, Prediction{600, 560, 100}},
		{"whichever", Body{Tokens: 100, Input: 60, Previous: "conv", Conversation: "resp"}, &outputs, Prediction{600, 560, 100}},
		{"an unknown response", Body{Tokens: 100, Input: 60, Previous: "who"}, &outputs, Prediction{100, 60, 100}},
		{"more than the model takes", Body{Tokens: 100, Input: 60, Previous: "conv", MostContext: 200}, &outputs, Prediction{300, 260, 100}},
		{"of a model that takes a token", Body{Tokens: 100, Input: 60, Previous: "conv", MostContext: 1}, &outputs, Prediction{101, 61, 100}},
		{"less than the model takes", Body{Tokens: 100, Input: 60, Previous: "resp", MostContext: 400}, &outputs, Prediction{400, 360, 100}},
		{"the largest", Body{Tokens: 100, Input: 60, Previous: "huge"}, &outputs, Prediction{largest, largest, 100}},
		{"functions", Body{Tokens: 100, Input: 60, Functions: true}, &outputs, Prediction{106, 66, 100}},
		{"functions, and an output that has been seen", Body{Tokens: 60, Input: 60, Functions: true, Undeclared: true}, &outputs, Prediction{106, 66, 60}},
		{"the largest, with functions", Body{Tokens: largest, Input: 60, Functions: true}, &outputs, Prediction{largest, 66, largest}},
		{"undeclared too", Body{Tokens: 60, Input: 60, Undeclared: true, Choices: 2, Previous: "resp"}, &outputs, Prediction{440, 360, 60}},
	} {
		if got := Of(&x.body, &inputs, x.seen, &contexts); got != x.want {
			t.Errorf("%s: %+v; want %+v", x.name, got, x.want)
		}
	}
}

// A prediction is never lower than what the body states, and asking changes nothing.
func TestOfNeverLowers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, largest))
		ids := rapid.SampledFrom([]string{"", "a", "b"})
		b := Body{
			Input: amount.Draw(t, "input"), Guessed: amount.Draw(t, "guessed"), Choices: rapid.Int64Range(0, 200).Draw(t, "choices"),
			Undeclared: rapid.Bool().Draw(t, "undeclared"), Previous: ids.Draw(t, "previous"), Conversation: ids.Draw(t, "conversation"),
			MostContext: amount.Draw(t, "context"), MostOutput: amount.Draw(t, "output"),
		}
		b.Tokens = min(largest, b.Input+amount.Draw(t, "declared"))
		var o Outputs
		for range rapid.IntRange(0, 40).Draw(t, "responses") {
			o.Add(rapid.Int64Range(-5, largest).Draw(t, "response"))
		}
		var c Contexts
		c.Set("a", amount.Draw(t, "a"))
		before := o
		got := Of(&b, &Inputs{}, &o, &c)
		if got.Tokens < b.Tokens || got.Input < b.Input || got.Tokens > largest || got.Input > largest || got.Certain < 0 || got.Certain > got.Tokens || got.Tokens < got.Input {
			t.Fatalf("%+v of %+v", got, b)
		}
		if again := Of(&b, &Inputs{}, &o, &c); again != got || o != before {
			t.Fatalf("%+v, and then %+v", got, again)
		}
	})
}

func TestBody(t *testing.T) {
	for _, x := range []struct {
		body             Body
		continues, exact bool
	}{
		{Body{}, false, true},
		{Body{Guessed: 1}, false, false},
		{Body{Previous: "a"}, true, false},
		{Body{Conversation: "a"}, true, false},
		{Body{Undeclared: true, Tokens: 5}, false, true},
	} {
		if x.body.Continues() != x.continues || x.body.Exact() != x.exact {
			t.Errorf("%+v: continues %v, exact %v", x.body, x.body.Continues(), x.body.Exact())
		}
	}
}

// What a response leaves behind for those that continue it.
func TestResponded(t *testing.T) {
	for _, x := range []struct {
		name       string
		body       Body
		id         string
		total      int64
		resp, conv int64
	}{
		{"a response", Body{Continuable: true}, "resp", 300, 300, 0},
		{"in a conversation", Body{Continuable: true, Conversation: "conv"}, "resp", 300, 300, 300},
		{"in a conversation, without an id", Body{Continuable: true, Conversation: "conv"}, "", 300, 0, 300},
		{"what does not carry over", Body{Continuable: true, Passing: 100}, "resp", 300, 200, 0},
		{"what does not carry over in a conversation", Body{Continuable: true, Conversation: "conv", Passing: 100}, "resp", 300, 200, 200},
		{"a token", Body{Continuable: true}, "resp", 1, 1, 0},
		{"nothing carries over", Body{Continuable: true, Passing: 300}, "resp", 300, 0, 0},
		{"more than all is passing", Body{Continuable: true, Passing: 400}, "resp", 300, 0, 0},
		{"none that can be continued", Body{}, "resp", 300, 0, 0},
		{"without usage", Body{Continuable: true}, "resp", 0, 0, 0},
		{"absurd usage", Body{Continuable: true}, "resp", -1, 0, 0},
		{"huge usage", Body{Continuable: true}, "resp", 1 << 60, largest, 0},
	} {
		var c Contexts
		Responded(&x.body, &c, x.id, x.total)
		if got := c.Get("resp"); got != x.resp {
			t.Errorf("%s: %d of the response; want %d", x.name, got, x.resp)
		}
		if got := c.Get("conv"); got != x.conv {
			t.Errorf("%s: %d of the conversation; want %d", x.name, got, x.conv)
		}
	}
}

// What is estimated or guessed is not certain.
func TestCertain(t *testing.T) {
	p := Of(&Body{Tokens: 100, Input: 80, Guessed: 10, Estimated: 50}, &Inputs{}, &Outputs{}, &Contexts{})
	if p.Tokens != 100 || p.Input != 80 || p.Certain != 40 {
		t.Errorf("%+v; want 40 of 100 to be certain", p)
	}
}
