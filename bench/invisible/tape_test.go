package invisible

import (
	"bytes"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A tape holds what a client has sent: the bytes of each connection, below HTTP and above
// TLS.
type tape struct {
	mu       sync.Mutex
	all      []byte // of all connections, as they came
	conns    []*tapedConn
	busy     int // requests that are being answered
	accepted int // connections, also those without a word
	ended    int
	changed  chan struct{} // has a value when one of these has changed
}

func newTape() *tape { return &tape{changed: make(chan struct{}, 1)} }

// arrive counts a connection that a client has made.
func (t *tape) arrive(c net.Conn) net.Conn {
	t.count(&t.accepted, 1)
	return &countedConn{Conn: c, tape: t}
}

func (t *tape) count(n *int, by int) {
	t.mu.Lock()
	*n += by
	t.mu.Unlock()
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// A countedConn tells its tape when it is closed.
type countedConn struct {
	net.Conn
	tape *tape
	once sync.Once
}

func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.tape.count(&c.tape.ended, 1) })
	return err
}

// wait returns when so many connections have come, all that have come are answered and, if
// they are to end, have gone.
func (t *tape) wait(conns int, end bool, timeout <-chan time.Time) error {
	for {
		t.mu.Lock()
		busy, accepted, ended := t.busy, t.accepted, t.ended
		t.mu.Unlock()
		if busy == 0 && accepted >= conns && (!end || ended == accepted) {
			return nil
		}
		select {
		case <-t.changed:
		case <-timeout:
			return fmt.Errorf("of %d connections %d have come and %d have ended, and %d requests are not answered", conns, accepted, ended, busy)
		}
	}
}

// record returns the connection, with what is read from it on the tape.
func (t *tape) record(c net.Conn) *tapedConn {
	taped := &tapedConn{Conn: c, tape: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns = append(t.conns, taped)
	return taped
}

// A tapedConn is a server's end of a connection.
type tapedConn struct {
	net.Conn
	tape *tape
	sent []byte
}

func (c *tapedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.tape.mu.Lock()
	defer c.tape.mu.Unlock()
	c.tape.all = append(c.tape.all, p[:n]...)
	c.sent = append(c.sent, p[:n]...)
	return n, err
}

// connections is how many have sent anything.
func (t *tape) connections() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		if len(c.sent) > 0 {
			n++
		}
	}
	return n
}

// text is all that HTTP/1.1 clients have sent, in the order in which it came.
func (t *tape) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		if c.webSocket() >= 0 {
			return t.inTurn()
		}
	}
	return normal(string(t.all))
}

// inTurn is the text connection by connection.
func (t *tape) inTurn() string {
	var all []byte
	for _, c := range t.conns {
		all = append(all, c.plain()...)
	}
	return normal(string(all))
}

// plain is what was sent over HTTP/1.1, with the frames of a WebSocket unmasked.
func (c *tapedConn) plain() []byte {
	at := c.webSocket()
	if at < 0 {
		return c.sent
	}
	return append(slices.Clip(c.sent[:at]), unmasked(c.sent[at:])...)
}

// webSocket is where the frames of a WebSocket begin, or -1.
func (c *tapedConn) webSocket() int {
	asks := bytes.Index(c.sent, []byte("\r\nUpgrade: websocket\r\n"))
	if asks < 0 {
		return -1
	}
	end := []byte("\r\n\r\n")
	return asks + bytes.Index(c.sent[asks:], end) + len(end)
}

// unmasked are short frames of a client, whose masks are random.
func unmasked(frames []byte) []byte {
	var all []byte
	for len(frames) >= 6 {
		n := int(frames[1] & 0x7f)
		if n > 125 || len(frames) < 6+n {
			break
		}
		all = append(all, frames[:2]...)
		for i, b := range frames[6 : 6+n] {
			all = append(all, b^frames[2+i%4])
		}
		frames = frames[6+n:]
	}
	return append(all, frames...)
}

var (
	boundaries = regexp.MustCompile(`boundary="?([0-9a-zA-Z_-]{20,70})`)
	nonces     = regexp.MustCompile(`(?mi)^(sec-websocket-key: ).*$`)
	ports      = regexp.MustCompile(`127\.0\.0\.1:\d+->`)
)

// normal replaces what is random: the boundaries of forms, nonces, the client's ports.
func normal(s string) string {
	for _, m := range boundaries.FindAllStringSubmatch(s, -1) {
		s = strings.ReplaceAll(s, m[1], strings.Repeat("B", len(m[1])))
	}
	return ports.ReplaceAllString(nonces.ReplaceAllString(s, "${1}NONCE"), "127.0.0.1:PORT->")
}
