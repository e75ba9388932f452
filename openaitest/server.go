package openaitest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A Server is the stand-in. It is an http.Handler, safe for concurrent use.
// Make one with New.
type Server struct {
	config *config
	ledger *ledger
	seq    atomic.Int64

	mu       sync.Mutex
	injected []Answer
	pipe     *pipe
}

// New returns a server with the given options. Without any it limits nothing.
// It panics on options that cannot be meant: a negative limit, a name used
// twice, a subwindow longer than its period.
func New(options ...Option) *Server {
	c := &config{
		models: map[string]Limits{}, projects: map[string]Limits{}, headers: true,
		headerLimits: map[dimension]Limit{requests: RPM, tokens: TPM},
	}
	for _, o := range options {
		o.apply(c)
	}
	c.settleDialect()
	c.check()
	return &Server{config: c, ledger: newLedger(c)}
}

// Inject answers the next n calls that arrive with a, in place of what
// [WithAnswer] says. Injections queue up. Calls that a leaves to the buckets
// are admitted or throttled as ever.
func (s *Server) Inject(n int, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.injected = append(s.injected, a)
	}
}

func (s *Server) nextAnswer(c *Call) Answer {
	s.mu.Lock()
	if len(s.injected) > 0 {
		a := s.injected[0]
		s.injected = s.injected[1:]
		s.mu.Unlock()
		return a
	}
	s.mu.Unlock()
	if s.config.answer != nil {
		return s.config.answer(c)
	}
	return Answer{}
}

// ServeHTTP answers a request. A POST to a known endpoint is a call; another
// POST is answered with 404, any other method with an empty list; neither is
// limited or counted.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint, deployment, known := route(r.URL)
	switch {
	case r.Method != http.MethodPost:
		write(w, http.StatusOK, []byte(`{"object":"list","data":[]}`))
		return
	case !known:
		e := Error{Message: fmt.Sprintf("Invalid URL (POST %s)", r.URL.Path), Type: "invalid_request_error"}
		write(w, http.StatusNotFound, e.bytes())
		return
	}
	c, err := readCall(r, endpoint, deployment)
	if errors.Is(err, errAborted) {
		panic(http.ErrAbortHandler)
	}
	c.Seq, c.Arrived = s.seq.Add(1), time.Now()
	x := &exchange{server: s, call: c, w: w, ctx: r.Context()}
	x.record = Record{Seq: c.Seq, Endpoint: c.Endpoint, Model: c.Model, Stream: c.Stream, Arrived: c.Arrived}
	if err != nil {
		x.reject(err)
		return
	}
	x.run()
}

// write sends a body that belongs to no call.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{typeJSON}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left cannot be told
}

// An exchange is one call on its way through the server.
type exchange struct {
	server *Server
	call   *Call
	answer Answer
	timing Timing
	cost   Cost
	record Record
	ended  bool

	w      http.ResponseWriter
	ctx    context.Context
	status int // of the head that was sent; zero before
	sent   int // bytes of the body
}

// reject answers a malformed call. Its request counts, like that of a throttled
// one.
func (x *exchange) reject(err error) {
	at, snap := x.server.ledger.throttle(x.call, true)
	x.record.Admitted = at
	x.server.setRateLimits(x.w.Header(), x.call, snap)
	e := Error{Message: err.Error(), Type: "invalid_request_error"}
	x.end(Rejected, http.StatusBadRequest, Cost{}, 0)
	x.respond(http.StatusBadRequest, typeJSON, e.bytes())
}

func (x *exchange) run() {
	s, c := x.server, x.call
	if s.config.estimate != nil {
		c.PromptEstimate = max(s.config.estimate(c), 0)
	}
	if s.config.latency != nil {
		x.timing = s.config.latency(c)
	}
	x.answer = s.nextAnswer(c)
	if !x.sleep(x.timing.Admission) {
		return // it never reached the buckets
	}
	if x.answer.atDoor(c) {
		at, snap := s.ledger.throttle(c, false)
		x.record.Admitted = at
		x.throttleInjected(snap)
		return
	}
	x.cost = s.cost(c)
	at, snap, throttle := s.ledger.admit(c, x.cost)
	x.record.Admitted = at
	s.setRateLimits(x.w.Header(), c, snap)
	if throttle != nil {
		x.record.ThrottledBy, x.record.ThrottledLimit = throttle.pool, throttle.limit
		x.answer = Answer{} // it was meant for the call being admitted
		x.throttle(throttle)
		return
	}
	x.record.Cost = x.cost
	x.answer.settle(c)
	// Whatever happens from here, even a panic of the connection, the call ends
	// in the accounts.
	defer func() { x.end(Aborted, x.status, Cost{}, 0) }()
	x.send()
}

// cost returns what a call is charged at admission.
func (s *Server) cost(c *Call) Cost {
	cost := Cost{Requests: 1, Tokens: c.PromptEstimate}
	switch c.Endpoint {
	case "responses/input_tokens", agentSessions, agentEvents, agentInvocations:
		cost.Tokens = 0
	case "images/generations", "images/edits", "images/variations":
		cost.Images = c.n
		if !c.gptImage() {
			cost.Tokens = 0
		}
	}
	cost.Tokens += s.chargedOutput(c)
	return cost
}

// flat is what is charged for the output of a choice that declares none.
const flat = 16

// chargedOutput returns the part of a call's charge that stands for output.
func (s *Server) chargedOutput(c *Call) int64 {
	switch {
	case !c.generatesText():
		return 0
	case c.Declared > 0:
		return c.declaredOutput()
	case s.config.undeclared == DebitWhole:
		return 0
	}
	return flat * c.Choices
}

// complete ends the call in the accounts, as answered whole.
func (x *exchange) complete() {
	s, c := x.server, x.call
	out := x.answer.output(c)
	x.record.PromptTokens, x.record.OutputTokens = c.PromptTokens, out
	var back Cost
	var debit int64
	// A background response has only been accepted: what it will generate is
	// never settled.
	if c.generatesText() && !c.Background {
		charged := s.chargedOutput(c)
		switch {
		case out < charged && s.config.refunds:
			back.Tokens = charged - out
		case out > charged && c.Declared == 0 && s.config.undeclared != Flat16:
			debit = out - charged
		}
	}
	x.end(Completed, x.answer.status(c), back, debit)
}

// fail ends the call in the accounts, as failed after its admission.
func (x *exchange) fail() {
	back := Cost{}
	if x.server.config.failureRefunds {
		back = x.cost
		back.Requests = 0
	}
	x.end(Failed, x.answer.status(x.call), back, 0)
}

// end settles the accounts and reports the call, once.
func (x *exchange) end(o Outcome, status int, back Cost, debit int64) {
	if x.ended {
		return
	}
	x.ended = true
	if o == Completed || o == Failed || o == Aborted {
		x.server.ledger.adjust(x.call.Model, o, back, debit)
	}
	if x.server.config.log == nil {
		return
	}
	x.record.Ended, x.record.Outcome, x.record.Status = time.Now(), o, status
	x.record.Refunded, x.record.Debited = back, debit
	x.server.config.log(x.record)
}

// throttle answers a call that the buckets throttled.
func (x *exchange) throttle(r *throttle) {
	s, c := x.server, x.call
	if r.limit == Concurrent {
		x.w.Header().Set("Retry-After", "1")
		x.sayThrottled(r.concurrent(c.Model).bytes())
		return
	}
	if d := s.config.dialect; d != OpenAI && !r.never {
		x.sayThrottled(r.speak(d, x.w.Header(), c))
		return
	}
	s.setRetry(x.w.Header(), c, r)
	if s.azure(c) {
		e := r.azureError(c)
		x.sayThrottled(marshal(obj{"error": obj{"code": e.Code, "message": e.Message}}))
		return
	}
	x.sayThrottled(r.error(c.Model).bytes())
}

// throttleInjected answers a call that is throttled without asking the buckets.
func (x *exchange) throttleInjected(snap snapshot) {
	s, a := x.server, &x.answer
	s.setRateLimits(x.w.Header(), x.call, snap)
	if a.Error == (Error{}) {
		r := snap.tpm
		r.limit, r.requested, r.wait = TPM, s.cost(x.call).Tokens, a.RetryAfter
		if r.wait == 0 {
			r.wait = time.Second
		}
		x.throttle(&r)
		return
	}
	if a.RetryAfter > 0 {
		s.setRetry(x.w.Header(), x.call, &throttle{limit: TPM, wait: a.RetryAfter})
	}
	x.sayThrottled(a.Error.bytes())
}

func (x *exchange) sayThrottled(body []byte) {
	if x.sleep(x.timing.Throttle) {
		x.end(Throttled, http.StatusTooManyRequests, Cost{}, 0)
		x.respond(http.StatusTooManyRequests, typeJSON, body)
		return
	}
	x.end(Throttled, 0, Cost{}, 0)
}

// send answers an admitted call.
func (x *exchange) send() {
	c, a := x.call, &x.answer
	if a.failed() && !(a.InStream && c.Stream) {
		if !x.sleep(x.timing.Headers) {
			return
		}
		if a.RetryAfter > 0 {
			x.server.setRetry(x.w.Header(), c, &throttle{limit: TPM, wait: a.RetryAfter})
		}
		x.fail()
		x.respond(a.Status, typeJSON, a.errorObject().bytes())
		return
	}
	p := a.payload(c)
	if a.failed() {
		p = a.fail(c, p)
	}
	if !c.Stream {
		if x.sleep(x.timing.Total) {
			if !a.cuts(len(p.parts[0])) {
				x.complete()
			}
			x.respond(http.StatusOK, p.contentType, p.parts[0])
		}
		return
	}
	x.stream(p)
}

// stream sends the parts evenly between the headers and the end: the first with
// the headers, the last at the end.
func (x *exchange) stream(p payload) {
	size := 0
	for _, part := range p.parts {
		size += len(part)
	}
	begin, end := x.timing.Headers, max(x.timing.Total, x.timing.Headers)
	if !x.sleep(begin) {
		return
	}
	x.head(http.StatusOK, p.contentType, -1)
	last := len(p.parts) - 1
	for i, part := range p.parts {
		at := end
		if i < last {
			at = begin + (end-begin)*time.Duration(i)/time.Duration(last)
		}
		if time.Until(x.call.Arrived.Add(at)) > 0 {
			x.flush() // before a pause; without one the bytes go together
		}
		if !x.sleep(at) {
			return
		}
		if i == last {
			if x.answer.failed() {
				x.fail()
			} else if !x.answer.cuts(size) {
				x.complete()
			}
		}
		x.write(part)
	}
}

// cuts reports whether the connection is cut before a body of this size is out.
func (a *Answer) cuts(size int) bool { return a.Cut && a.After < size }

// respond sends a whole response.
func (x *exchange) respond(status int, contentType string, body []byte) {
	x.head(status, contentType, len(body))
	x.write(body)
}

// head sends the response's head, with its length where that is known.
func (x *exchange) head(status int, contentType string, length int) {
	if x.answer.After == 0 {
		x.interrupt()
	}
	h := x.w.Header()
	h["Content-Type"] = []string{contentType}
	h["X-Request-Id"] = []string{x.call.id("req_")}
	if x.server.config.dialect != OpenAI { // moments count from it
		h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	if length >= 0 {
		h["Content-Length"] = []string{strconv.Itoa(length)}
	}
	if x.server.config.header != nil {
		x.server.config.header(x.call, status, h)
	}
	x.status = status
	x.w.WriteHeader(status)
}

// write sends bytes of the body, and interrupts it where the answer says so.
func (x *exchange) write(b []byte) {
	if cut := x.answer.After - x.sent; cut >= 0 && cut < len(b) && x.answer.After > 0 {
		x.emit(b[:cut])
		x.flush()
		x.interrupt()
		b = b[cut:]
	}
	x.emit(b)
}

func (x *exchange) emit(b []byte) {
	n, err := x.w.Write(b)
	x.sent += n
	if err != nil {
		panic(http.ErrAbortHandler) // the caller has left
	}
}

// interrupt stalls and cuts, if the answer says so.
func (x *exchange) interrupt() {
	if d := x.answer.Stall; d > 0 && !pause(x.ctx, d) {
		panic(http.ErrAbortHandler)
	}
	if x.answer.Cut {
		panic(http.ErrAbortHandler)
	}
}

// flush sends what has been written so far. Some writers cannot, and then
// nothing streams.
func (x *exchange) flush() { _ = http.NewResponseController(x.w).Flush() }

// sleep waits until d after the call's arrival. It reports false if the caller
// has left.
func (x *exchange) sleep(d time.Duration) bool {
	if d <= 0 {
		return x.ctx.Err() == nil
	}
	return pause(x.ctx, time.Until(x.call.Arrived.Add(d)))
}

// pause waits for d and reports whether ctx lasted that long.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
