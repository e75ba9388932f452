// Package wire reads the response side of OpenAI's wire formats: usage and
// errors in bodies as they stream by ([Meter]), the x-ratelimit-* and
// retry-after headers ([ParseHeaders], [RetryAfter]), and rejections of calls
// ([ParseThrottle]). [Classify] returns the accounting that a request falls under.
//
// Everything here is tolerant and bounded. Whatever a server, a proxy or a test double
// sends, nothing panics and no more than a kilobyte is buffered. A figure that is absent,
// malformed or absurd counts as not reported, never as zero.
package wire
