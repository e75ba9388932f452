// Package openaitest is a strict stand-in for OpenAI's API: an [http.Handler] that enforces RPM,
// TPM, RPD, TPD and IPM as continuously refilling buckets, and a limit on calls in flight, and
// answers every endpoint, in JSON and as server-sent events, with usage.
//
// Start with [New], then choose how its clients reach it:
//
//   - [Server.Direct] calls the handler in the process, streaming, without
//     sockets: the cheapest, for simulations of many calls;
//   - [Server.Transport] and [Server.Client] run a real net/http server and
//     client over net.Pipe, also inside a testing/synctest bubble;
//   - httptest.NewServer(srv) serves it over loopback, HTTP/1 or HTTP/2.
//
// # What it enforces
//
// A call is charged when it is admitted: one request, its images, and its
// prompt estimate plus the output it declares times the number of choices in
// tokens, from every bucket of its model at once or from none. A bucket holds
// its limit and refills at limit/period; the headers say where it stood right
// after the call was admitted. A call that does not fit is throttled with a 429
// that names the bucket which takes longest to have room. Calls that fail
// afterwards have been charged all the same. What is not established about the
// real service is a switch, an [Option] whose documentation says which way it
// stands by default.
//
// The arithmetic is exact: levels are kept as whole units and a fraction whose
// denominator is the period in nanoseconds, so months of (virtual) time and
// limits of billions lose nothing. It shares no code with the limiter it tests,
// so that a mistake in one cannot hide a mistake in the other.
//
// # Time
//
// The server lives in the time of whoever calls it: time.Now and ordinary
// timers. Inside a testing/synctest bubble a day passes in an instant; create
// the server, and call Transport, in the bubble that uses it.
//
// One server is one account (organization and project). Credentials are not
// checked. For two accounts run two servers.
package openaitest
