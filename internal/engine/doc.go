// Package engine admits an account's calls in order: it decides which call starts next,
// asks the backend for its cost, and settles the charge when the call has ended.
//
// An [Engine] holds accounts, an account holds scopes (its models), and a scope holds a
// queue of callers that wait. [Engine.Admit] is the front door. A call that nobody waits
// before asks the backend itself; otherwise it joins the queue, for whose head one
// goroutine a scope, the driver, asks as long as somebody waits.
//
// It promises:
//   - An account's lock is the only one over what its scopes know. It is never held
//     across I/O, a hook or a user's counter, no function returns with it held, and the
//     names of functions that need it end in Locked. The order of locks is Engine.mu,
//     account.mu, tasks.mu. An ordinary call takes its account's lock four times: twice to
//     be admitted, once for its response's headers and once to be settled.
//   - Callers of a flow start in a scope in the order in which they came, but for retries, which
//     enter near the front, at most one before each fresh call.
//   - A call is charged in every bucket or in none, and a reservation ends once.
//   - A question ([Engine.Forecast], [Engine.State]) changes nothing.
package engine
