// Package invisible shows that nobody notices the limiter while nothing is limited. It plays
// a script with and without the Transport and the adapters, and compares what goes over the
// wire, byte for byte, and what the program gets: results, errors, and each piece of a
// response before the next one is sent. The SDKs are the newest, with every endpoint they
// offer.
package invisible

import (
	"io"
	"log"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http tells of what servers send unasked
	goleak.VerifyTestMain(m)
}
