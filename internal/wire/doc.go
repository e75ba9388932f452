// Package wire reads the response side of OpenAI's wire formats: usage and
// errors in bodies as they stream by ([Meter]), the x-ratelimit-* and
// retry-after headers ([ParseHeaders], [RetryAfter]), and refusals
// ([ParseRefusal]). [Classify] says which accounting a request falls under.
//
// Everything here is tolerant and bounded: whatever a server, a proxy or a test
// double sends, nothing panics, nothing is buffered beyond a kilobyte, and a
// figure that is absent, malformed or absurd is no information rather than zero.
package wire
