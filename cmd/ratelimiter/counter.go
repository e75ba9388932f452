package main

import "sync"

// A counter counts what is under way. Its zero value counts nothing yet.
type counter struct {
	mu   sync.Mutex
	n    int
	zero chan struct{} // of who waits for that, or nil
}

func (c *counter) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *counter) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	c.tell()
}

// idle returns a channel that is closed once nothing is under way.
func (c *counter) idle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.zero == nil {
		c.zero = make(chan struct{})
	}
	zero := c.zero
	c.tell()
	return zero
}

func (c *counter) tell() {
	if c.n == 0 && c.zero != nil {
		close(c.zero)
		c.zero = nil
	}
}
