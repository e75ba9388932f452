package backendtest

import "github.com/openai-ratelimiter/ratelimiter/backend"

// ceiling: what a class may use at most holds for all models and lines together. A call
// starts while anything is left, however large it is. Those that it holds back stand in
// nobody's way.
func (s *suite) ceiling() {
	class := perDay("class", backend.Tokens, 1000)
	class.Ceiling = true
	class.Margin = 900 // it has none
	model, other := perDay("m", backend.Tokens, 10_000), perDay("n", backend.Tokens, 10_000)
	batch := []backend.Bucket{model, class}
	elsewhere := func(ticket string, costs ...backend.Amounts) backend.Ask {
		ask := s.ask("n of the class", ticket, []backend.Bucket{class, other}, costs...)
		ask.Line = "another line"
		return ask
	}
	s.rejects(s.ask("m of the class", "a", batch, tokens(1001)))
	first := s.granted(s.ask("m of the class", "a", batch, tokens(600)), 1)
	s.granted(s.ask("m of the class", "a", batch, tokens(600), tokens(1)), 1)
	s.granted(elsewhere("b", tokens(1)), 0)
	s.level(s.lookAt("m of the class", batch).Levels[1], -200, class)
	s.granted(s.ask("m", "c", []backend.Bucket{model}, tokens(8000)), 1)
	back := backend.Settlement{Stamp: first.Stamp, Buckets: batch, Refund: tokens(150)}
	s.settles(back)
	s.granted(s.ask("m of the class", "a", batch, tokens(1)), 0)
	s.granted(elsewhere("b", tokens(900)), 0)
	s.settles(back)
	s.granted(elsewhere("b", tokens(900), tokens(1)), 1)
	s.granted(s.ask("m of the class", "a", batch, tokens(1)), 0)
	s.granted(s.ask("m", "c", []backend.Bucket{model}, tokens(1000)), 1)
	if a := s.lookAt("m of the class", batch); a.Levels[1] > -799 {
		s.Errorf("levels %v; want a debt of 800 of the class", a.Levels)
	}
}

// ceilingOrder: tickets of one scope keep their order at its ceiling.
func (s *suite) ceilingOrder() {
	class := perDay("class", backend.Tokens, 1000)
	class.Ceiling = true
	b := []backend.Bucket{perDay("m", backend.Tokens, 100_000), class}
	first := s.granted(s.ask("m of the class", "x", b, tokens(1000)), 1)
	s.granted(s.ask("m of the class", "large", b, tokens(1000)), 0)
	s.granted(s.ask("m of the class", "small", b, tokens(1)), 0)
	s.settles(backend.Settlement{Stamp: first.Stamp, Buckets: b, Refund: tokens(10)})
	s.granted(s.ask("m of the class", "small", b, tokens(1)), 0)
	s.granted(s.ask("m of the class", "large", b, tokens(1000)), 1)
	s.granted(s.ask("m of the class", "small", b, tokens(1)), 0)
}
