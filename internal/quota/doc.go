// Package quota knows what one scope, an account's model, may draw from: limits
// that were configured, limits that the server's responses report, and how far each
// report counts. It turns them into the buckets that a backend is asked for.
//
// Everything in it is a function of its arguments: it reads no clock, holds no lock
// and does no I/O. The caller serialises access to a [Set] and to the limits that it
// shares with others.
//
// It promises:
//   - A configured limit is a ceiling: reports lower what holds, and never raise it. Where
//     processes have configured it differently, the largest counts.
//   - An absent, absurd or contradictory report changes nothing.
//   - A difference from the server's bucket is corrected once, however many responses
//     report it.
//   - A question (Exceeded, Buckets, Slots, Note) changes nothing.
//   - A note from a store is input: it is checked whole, and taken or dropped whole.
package quota
