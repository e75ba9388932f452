package main

import (
	"io"
	"net"
)

// replica has Redis count the bytes that it replicates: somebody reads them, and keeps
// nothing.
func (b *bench) replica() (leave func()) {
	client := b.client()
	defer client.Close()
	must(client.ConfigSet(background, "repl-diskless-sync-delay", "0").Err())
	c, err := net.Dial("tcp", b.addr)
	must(err)
	_, err = io.WriteString(c, "SYNC\r\n")
	must(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, c) // until it leaves
	}()
	return func() {
		c.Close()
		<-done
	}
}

// replicated is how many bytes Redis has replicated.
func (b *bench) replicated() float64 { return b.info("replication", "master_repl_offset") }
