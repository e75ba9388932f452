// Package predict adds to a call's estimate what its body does not say: the output that
// nobody declared, from what recent responses have needed ([Outputs]), the input that stands
// on the server, from what earlier responses have reported ([Contexts]), and what functions
// take beside what we count ([Inputs]).
//
// It is pure: it reads no clock, holds no lock and does no I/O. A prediction is never
// lower than what the body states, and asking for one changes nothing.
package predict
