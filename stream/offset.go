package stream

import "cmp"

// Offset is a position between two appends of one incarnation of a stream
// (§8). Rendered with fixed width, so that offsets sort as text exactly as they
// sort as values, over forks and re-creations too: an incarnation is drawn from
// one replicated counter that only grows.
type Offset struct {
	Incarnation uint64 // which life of which stream minted it
	Pos         uint64 // wire bytes before it
}

const (
	offsetDigits = 16
	offsetLen    = 2*offsetDigits + 1
	offsetMax    = 9_999_999_999_999_999
)

// String renders o as the protocol's opaque token.
func (o Offset) String() string { return string(o.AppendTo(make([]byte, 0, offsetLen))) }

// AppendTo appends the token to b and returns the extended slice.
func (o Offset) AppendTo(b []byte) []byte {
	b = appendDigits(b, o.Incarnation)
	b = append(b, '_')
	return appendDigits(b, o.Pos)
}

// IsZero reports the all-zero offset, which means the start of any stream.
func (o Offset) IsZero() bool { return o == Offset{} }

// Compare orders offsets as their tokens sort.
func (o Offset) Compare(p Offset) int {
	return cmp.Or(cmp.Compare(o.Incarnation, p.Incarnation), cmp.Compare(o.Pos, p.Pos))
}

func appendDigits(b []byte, n uint64) []byte {
	start := len(b)
	b = append(b, "0000000000000000"...)
	for i := len(b) - 1; i >= start; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// ParseOffset accepts exactly what String prints.
func ParseOffset(s string) (Offset, error) {
	if len(s) != offsetLen || s[offsetDigits] != '_' {
		return Offset{}, badOffset("is malformed")
	}
	incarnation, ok1 := parseDigits(s[:offsetDigits])
	pos, ok2 := parseDigits(s[offsetDigits+1:])
	if !ok1 || !ok2 {
		return Offset{}, badOffset("is malformed")
	}
	return Offset{Incarnation: incarnation, Pos: pos}, nil
}

func parseDigits(s string) (n uint64, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return n, true
}

func badOffset(what string) *Rejection {
	return &Rejection{Code: BadOffset,
		Detail: "the offset " + what + "; use -1, now, or a Stream-Next-Offset that this stream returned"}
}

// From says where a read begins. The words "-1" and "now" live here and not in
// Offset, so that no arithmetic ever meets them.
type From struct {
	at   Offset
	kind fromKind
}

type fromKind uint8

const (
	fromStart fromKind = iota
	fromNow
	fromAt
)

// ParseFrom parses the offset parameter of a read (§5.6); "-1" and the
// all-zero offset mean the start.
func ParseFrom(s string) (From, error) {
	switch s {
	case "-1":
		return From{}, nil
	case "now":
		return From{kind: fromNow}, nil
	}
	at, err := ParseOffset(s)
	if err != nil {
		return From{}, err
	}
	if at.IsZero() {
		return From{}, nil
	}
	return FromOffset(at), nil
}

// FromOffset begins at an offset that a stream has returned.
func FromOffset(o Offset) From { return From{at: o, kind: fromAt} }

// Now reports a read that begins at whatever the tail is.
func (f From) Now() bool { return f.kind == fromNow }

// Offset returns the named offset; ok is false for the start and for now.
func (f From) Offset() (o Offset, ok bool) { return f.at, f.kind == fromAt }
