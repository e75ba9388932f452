// Package ratelimiter keeps programs inside the rate limits of OpenAI's API. Each call
// waits until its budget is available, and no longer, so the API has no reason to return
// a 429.
//
// Most programs need a [Limiter] and one line: [Limiter.Client] gives any SDK an
// http.Client. Its [Transport] works out what each request costs, waits for that, and
// settles the charge with the usage in the response. The packages adapters/openaigo and
// adapters/goopenai make that one option for their SDKs.
//
// Programs that make their calls without HTTP use the Limiter itself: [Limiter.Do], or
// [Limiter.Acquire] with Settle and Cancel.
//
// Budgets live in this process or, with [WithBackend] and the package backend/redis, in a
// store that a fleet of processes shares.
//
// [Limiter.State], [LogTrace] and [Trace] show what waits and why, the package statuspage
// shows it as a web page, and adapters/otel as metrics and spans. With [WithShadow] a limiter
// only watches, and [Limiter.ShadowReport] says what it would have done. The package
// openaitest is a stand-in for the API, for tests.
package ratelimiter
