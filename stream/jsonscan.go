package stream

import (
	"encoding/binary"
	"math/bits"
)

// jsonDepthMax is how deep values may be nested: what encoding/json takes.
const jsonDepthMax = 10000

// jsonScan validates JSON as encoding/json does, verdict for verdict, and finds
// where values end. It reads each byte once, strings eight at a time, and
// allocates nothing for nesting up to 64.
type jsonScan struct {
	b    []byte
	high byte // all bytes of all strings, or-ed: at least 0x80 if one is
}

func (s *jsonScan) at(i int) byte {
	if i >= len(s.b) {
		return 0 // which no rule takes
	}
	return s.b[i]
}

func (s *jsonScan) space(i int) int {
	for i < len(s.b) && jsonSpace(s.b[i]) {
		i++
	}
	return i
}

func jsonSpace(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t') }

// value returns the end of the value that begins at i, of which containers may
// be nested depth deep.
func (s *jsonScan) value(i, depth int) (end int, ok bool) {
	if c := s.at(i); c != '{' && c != '[' {
		return s.scalar(i)
	}
	n := nest{most: depth}
	for {
		// A value begins at i.
		switch c := s.at(i); c {
		case '{', '[':
			if !n.push(c == '{') {
				return 0, false
			}
			i = s.space(i + 1)
			if s.at(i) != c+2 { // the bracket that closes it
				if c == '{' {
					if i, ok = s.key(i); !ok {
						return 0, false
					}
				}
				continue
			}
			n.pop()
			i++
		default:
			if i, ok = s.scalar(i); !ok {
				return 0, false
			}
		}
		// A value ends at i: what holds it goes on, or ends too.
		for ; ; i++ {
			if n.depth == 0 {
				return i, true
			}
			i = s.space(i)
			if c := s.at(i); c == ',' {
				break
			} else if n.object() && c != '}' || !n.object() && c != ']' {
				return 0, false
			}
			n.pop()
		}
		i = s.space(i + 1)
		if n.object() {
			if i, ok = s.key(i); !ok {
				return 0, false
			}
		}
	}
}

// key takes a key and its colon, and returns where its value begins.
func (s *jsonScan) key(i int) (int, bool) {
	if s.at(i) != '"' {
		return 0, false
	}
	i, ok := s.text(i)
	if !ok {
		return 0, false
	}
	if i = s.space(i); s.at(i) != ':' {
		return 0, false
	}
	return s.space(i + 1), true
}

func (s *jsonScan) scalar(i int) (int, bool) {
	switch c := s.at(i); {
	case c == '"':
		return s.text(i)
	case c == '-' || '0' <= c && c <= '9':
		return s.number(i)
	case c == 't':
		return s.literal(i, "true")
	case c == 'f':
		return s.literal(i, "false")
	case c == 'n':
		return s.literal(i, "null")
	}
	return 0, false
}

func (s *jsonScan) literal(i int, word string) (int, bool) {
	end := i + len(word)
	return end, end <= len(s.b) && string(s.b[i:end]) == word
}

const (
	everyByte = 0x0101010101010101
	topBits   = 0x8080808080808080
)

// text returns the end of the string whose quote is at i.
func (s *jsonScan) text(i int) (int, bool) {
	b, high := s.b, uint64(0)
	for i++; ; {
		for i+8 <= len(b) { // until one of eight is a quote, a backslash or a control
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^'"'*everyByte, w^'\\'*everyByte
			found := ((quote-everyByte)&^quote | (slash-everyByte)&^slash | (w-' '*everyByte)&^w) & topBits
			if found != 0 {
				n := bits.TrailingZeros64(found) / 8
				high |= w & (1<<(8*n) - 1) // those before it
				i += n
				break
			}
			high |= w
			i += 8
		}
		switch c := s.at(i); {
		case c == '"':
			if high&topBits != 0 {
				s.high |= 0x80
			}
			return i + 1, true
		case c == '\\':
			n := s.escape(i)
			if n == 0 {
				return 0, false
			}
			i += n
		case c < ' ':
			return 0, false
		default:
			s.high |= c
			i++
		}
	}
}

// escape returns the length of the escape at i, 0 for none.
func (s *jsonScan) escape(i int) int {
	switch s.at(i + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		for k := i + 2; k < i+6; k++ {
			c := s.at(k) | 0x20
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func (s *jsonScan) number(i int) (int, bool) {
	if s.at(i) == '-' {
		i++
	}
	switch c := s.at(i); {
	case c == '0':
		i++
	case '1' <= c && c <= '9':
		i = s.digits(i)
	default:
		return 0, false
	}
	if s.at(i) == '.' {
		after := s.digits(i + 1)
		if after == i+1 {
			return 0, false
		}
		i = after
	}
	if s.at(i)|0x20 == 'e' {
		i++
		if c := s.at(i); c == '+' || c == '-' {
			i++
		}
		after := s.digits(i)
		if after == i {
			return 0, false
		}
		i = after
	}
	return i, true
}

func (s *jsonScan) digits(i int) int {
	for i < len(s.b) && '0' <= s.b[i] && s.b[i] <= '9' {
		i++
	}
	return i
}

// nest is which of the containers that are open are objects: a bit for each.
type nest struct {
	depth, most int
	first       uint64
	rest        []uint64
}

func (n *nest) word() *uint64 {
	at := n.depth - 1
	if at < 64 {
		return &n.first
	}
	if at/64 > len(n.rest) {
		n.rest = append(n.rest, 0)
	}
	return &n.rest[at/64-1]
}

func (n *nest) push(object bool) bool {
	if n.depth == n.most {
		return false
	}
	n.depth++
	w, bit := n.word(), uint64(1)<<((n.depth-1)%64)
	*w &^= bit
	if object {
		*w |= bit
	}
	return true
}

func (n *nest) pop() { n.depth-- }

func (n *nest) object() bool { return *n.word()>>((n.depth-1)%64)&1 == 1 }
