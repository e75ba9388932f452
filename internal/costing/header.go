package costing

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// A source gives the bytes of a file from where they stand in the body: as they
// are, or in base64 within a JSON string. It decodes as it goes and keeps nothing.
type source struct {
	raw    []byte
	base64 bool
	bits   uint32
	have   int // bits in bits
}

// next returns the next byte.
func (s *source) next() (b byte, ok bool) {
	if !s.base64 {
		if len(s.raw) == 0 {
			return 0, false
		}
		b, s.raw = s.raw[0], s.raw[1:]
		return b, true
	}
	for s.have < 8 {
		if len(s.raw) == 0 {
			return 0, false
		}
		c := s.raw[0]
		n := 1
		if c == '\\' { // some writers escape slashes, some plus signs
			char, length := unescape(s.raw)
			c, n = byte(char), length
		}
		if c == '%' && len(s.raw) >= 3 { // a URL's escape
			if b, err := hex.DecodeString(string(s.raw[1:3])); err == nil {
				c, n = b[0], 3
			}
		}
		s.raw = s.raw[n:]
		six := base64Digits[c]
		if six == lineBreak {
			continue
		}
		if six < 0 {
			return 0, false
		}
		s.bits = s.bits<<6 | uint32(six)
		s.have += 6
	}
	s.have -= 8
	return byte(s.bits >> s.have), true
}

// fill reads as many bytes as there are, and returns how many that was.
func (s *source) fill(dst []byte) (n int) {
	for n < len(dst) {
		b, ok := s.next()
		if !ok {
			break
		}
		dst[n] = b
		n++
	}
	return n
}

// skip passes over n bytes.
func (s *source) skip(n int) (ok bool) {
	ok = true
	for ; n > 0 && ok; n-- {
		_, ok = s.next()
	}
	return ok
}

// lineBreak is white space in base64, which MIME breaks into lines.
const lineBreak = -2

// base64Digits holds the value of each digit, of both alphabets, lineBreak, and -1 elsewhere.
var base64Digits = func() (values [256]int8) {
	for i := range values {
		values[i] = -1
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		values[c] = int8(i)
	}
	values['-'], values['_'] = 62, 63
	for _, c := range " \t\r\n" {
		values[c] = lineBreak
	}
	return values
}()

// sizeOfURL returns the size of an image that stands in its URL. Some hosts take its base64 alone.
func sizeOfURL(url []byte) picture {
	data, ok := dataOf(url)
	if !ok {
		data = source{raw: url, base64: true}
	}
	return sizeOf(data)
}

// dataOf returns what a data: URL holds, if it is in base64. The case of its words does not
// matter (RFC 2397, RFC 3986).
func dataOf(url []byte) (data source, ok bool) {
	const maxType = 256
	url = trimSpace(url)
	if !hasPrefixFold(url, "data:") {
		return source{}, false
	}
	comma := bytes.IndexByte(url[:min(len(url), maxType)], ',')
	if comma < 0 {
		return source{}, false
	}
	head := url[:comma]
	if bytes.IndexByte(head, ' ') >= 0 {
		head = bytes.ReplaceAll(head, []byte(" "), nil)
	}
	if n := len(head) - len(";base64"); n < 0 || !hasPrefixFold(head[n:], ";base64") {
		return source{}, false
	}
	return source{raw: url[comma+1:], base64: true}, true
}

// trimSpace cuts off the white space at the beginning of a string as it stands in the body.
func trimSpace(raw []byte) []byte {
	for {
		raw = bytes.TrimLeft(raw, " \t\r\n")
		if len(raw) < 2 || raw[0] != '\\' || raw[1] != 'n' && raw[1] != 'r' && raw[1] != 't' {
			return raw
		}
		raw = raw[2:]
	}
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix)
}

// sizeOf reads an image's size from its header: PNG, JPEG, GIF and WebP, told by
// their content. What claims no size, or is something else, has none.
func sizeOf(data source) picture {
	var head [30]byte
	start := data
	n := data.fill(head[:])
	h := head[:n]
	switch {
	case n >= 24 && bytes.HasPrefix(h, []byte("\x89PNG\r\n\x1a\n")):
		return picture{pixels(binary.BigEndian.Uint32(h[16:])), pixels(binary.BigEndian.Uint32(h[20:]))}
	case n >= 10 && bytes.HasPrefix(h, []byte("GIF8")):
		return picture{int(binary.LittleEndian.Uint16(h[6:])), int(binary.LittleEndian.Uint16(h[8:]))}
	case n >= 30 && bytes.HasPrefix(h, []byte("RIFF")) && string(h[8:12]) == "WEBP":
		return sizeOfWebP(h)
	case n >= 2 && h[0] == 0xff && h[1] == 0xd8:
		return sizeOfJPEG(start)
	}
	return picture{}
}

func pixels(n uint32) int {
	return int(min(n, maxPixels))
}

// sizeOfWebP reads the first chunk of a WebP file.
func sizeOfWebP(h []byte) picture {
	switch string(h[12:16]) {
	case "VP8X":
		return picture{
			width:  1 + int(h[24]) + int(h[25])<<8 + int(h[26])<<16,
			height: 1 + int(h[27]) + int(h[28])<<8 + int(h[29])<<16,
		}
	case "VP8L":
		bits := binary.LittleEndian.Uint32(h[21:])
		return picture{int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1}
	case "VP8 ":
		return picture{
			width:  int(binary.LittleEndian.Uint16(h[26:]) & 0x3fff),
			height: int(binary.LittleEndian.Uint16(h[28:]) & 0x3fff),
		}
	}
	return picture{}
}

// sizeOfJPEG looks for the frame's header. Before it stand segments of up to 64 KB
// (EXIF with a thumbnail, colour profiles); it gives up after maxSegments of them.
func sizeOfJPEG(data source) picture {
	const maxSegments = 64
	data.skip(2)
	for range maxSegments {
		marker, ok := data.next()
		for ok && marker == 0xff {
			marker, ok = data.next()
		}
		var size [2]byte
		if !ok || data.fill(size[:]) < 2 {
			break
		}
		switch {
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			var frame [5]byte // precision, height, width
			if data.fill(frame[:]) < 5 {
				return picture{}
			}
			return picture{
				width:  int(binary.BigEndian.Uint16(frame[3:])),
				height: int(binary.BigEndian.Uint16(frame[1:])),
			}
		case marker == 0xda: // the image itself
			return picture{}
		}
		if !data.skip(int(binary.BigEndian.Uint16(size[:])) - 2) {
			break
		}
	}
	return picture{}
}
