package decode

import (
	"fmt"
	"io"
	"time"
)

const (
	// pieceSize is how much is handed to a decoder at a time, and taken from it.
	pieceSize = 32 << 10
	// patience is how long a decoder that has been handed a piece may take to ask for the
	// next, or to end. One that does not is given up: a body's reader must not wait for it.
	// It is measured in turns, in each of which the decoder could run: where the process gets
	// no processor, or stands still, the time that passes is not the decoder's.
	patience = turns * turn
	turns    = 25
	turn     = 10 * time.Millisecond
)

// A Stream decodes a body that passes by in pieces. The decoder runs in a goroutine, for
// it reads where it is given; but in turns with Write, so that what has been decoded is
// handed on by Write, and a Stream has no locks. The goroutine ends with the body, on a
// fault, or by Stop.
//
// A Stream is for one goroutine at a time. The decoder may read from several, one at a time.
type Stream struct {
	chain   Chain
	events  chan event
	in      chan []byte
	taken   chan struct{} // decoded bytes have been handed on
	quit    chan struct{}
	buf     []byte
	started bool
	hungry  bool // the decoder waits for the next piece
	over    bool
}

// An event is what a decoder does next: it has decoded something, it wants more, or it ends.
type event struct {
	decoded []byte
	wants   bool
	panics  any
}

// Stream returns a stream that decodes by the chain.
func (c Chain) Stream() *Stream { return &Stream{chain: c} }

// Write decodes the next bytes of the body, and hands on what they stand for as far as it
// is known yet. It goes on until enough is true. A panic of the decoder or of enough
// reaches the caller.
func (s *Stream) Write(p []byte, enough func([]byte) bool) { s.write(p, false, enough) }

// End hands on what is left when the body has ended.
func (s *Stream) End(enough func([]byte) bool) { s.write(nil, true, enough) }

// Stop ends the decoder. It may be called more than once.
func (s *Stream) Stop() {
	if s.started && !s.over {
		close(s.quit)
	}
	s.over = true
}

func (s *Stream) write(p []byte, end bool, enough func([]byte) bool) {
	if s.over {
		return
	}
	if !s.started {
		s.started = true
		s.events, s.in = make(chan event), make(chan []byte)
		s.taken, s.quit = make(chan struct{}), make(chan struct{})
		go s.run()
	}
	timer := time.NewTimer(turn)
	defer timer.Stop()
	for left := turns; ; {
		if s.hungry {
			left = turns
			timer.Reset(turn)
			switch n := min(len(p), pieceSize); {
			case n > 0:
				s.buf = append(s.buf[:0], p[:n]...)
				p = p[n:]
				s.in <- s.buf
			case end:
				close(s.in) // and it is hungry no more
			default:
				return
			}
			s.hungry = false
		}
		select {
		case <-timer.C:
			if left--; left == 0 {
				s.Stop()
				return
			}
			timer.Reset(turn)
		case e := <-s.events:
			switch {
			case e.decoded != nil:
				if enough(e.decoded) {
					s.Stop()
					return
				}
				s.taken <- struct{}{}
			case e.wants:
				s.hungry = true
			default:
				s.Stop()
				if e.panics != nil {
					panic(fmt.Sprintf("ratelimiter: the decoder of a response panicked: %v", e.panics))
				}
				return
			}
		}
	}
}

// run is the decoder's goroutine.
func (s *Stream) run() {
	defer func() { s.send(event{panics: recover()}) }()
	r, done, err := s.chain.open(&feed{stream: s})
	if err != nil {
		return
	}
	defer done()
	const mostEmpty = 100 // as bufio has it
	buf, empty := make([]byte, pieceSize), 0
	for empty < mostEmpty {
		n, err := r.Read(buf)
		empty++
		if n > 0 {
			empty = 0
			s.send(event{decoded: buf[:n]})
			select {
			case <-s.taken:
			case <-s.quit:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// send tells of an event, unless nobody listens any more.
func (s *Stream) send(e event) {
	select {
	case s.events <- e:
	case <-s.quit:
	}
}

// A feed is what a decoder reads from.
type feed struct {
	stream *Stream
	piece  []byte
	ended  bool
}

func (f *feed) Read(p []byte) (int, error) {
	for len(f.piece) == 0 {
		if f.ended {
			return 0, io.EOF
		}
		f.stream.send(event{wants: true})
		select {
		case piece, more := <-f.stream.in:
			f.piece, f.ended = piece, !more
		case <-f.stream.quit:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, f.piece)
	f.piece = f.piece[n:]
	return n, nil
}
