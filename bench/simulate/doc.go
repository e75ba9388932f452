// Package simulate plays the limiter and its peers against a strict server, in
// virtual time and with the same calls, beside an oracle that sees the server's
// state. It is run by its test, for virtual time is that of testing/synctest:
//
//   - go test plays a few scenarios, shortened, and holds the limiter to its bars;
//   - go test -full plays all of them with every policy, and some in real time,
//     and writes docs/SIMULATION.md (make simulate does that);
//   - go test -scenario R -policy R plays at full length what the regular
//     expressions choose;
//   - go test -log calls.csv -limits rpm=600,tpm=200000 plays somebody's own
//     calls.
//
// A [world] is one run of a [policy] in a [scenario].
package simulate
