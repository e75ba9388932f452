// Package failover is a backend that answers while another one does not: it lets every
// call pass, or keeps limits of its own in this process.
//
// It promises:
//   - While the primary answers, it alone is asked.
//   - While it does not, one ask a second probes it, and no other waits for it.
//   - A charge is settled where it was made. A pause holds in both places, so that a
//     failure loses none.
package failover
