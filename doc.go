// Package ratelimiter keeps programs inside the rate limits of OpenAI's API:
// calls wait until their budget is free, so that the API has no reason to
// answer 429, and no longer than that.
//
// Most programs need a [Limiter] and one line: [Limiter.Client] gives any SDK an
// http.Client whose [Transport] works out what each request costs, waits for
// it, and settles the charge with what the answer says was used. The packages
// adapters/openaigo and adapters/goopenai make that one option for their SDKs.
//
// Programs that make their calls otherwise use the Limiter itself: [Limiter.Do],
// or [Limiter.Acquire] with Settle and Cancel.
//
// Budgets live in this process, or with [WithBackend] and the package
// backend/redis in a store that a fleet of processes shares. The package
// openaitest is a stand-in for the API, for tests.
package ratelimiter
