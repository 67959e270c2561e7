package stream

import "strings"

// NameBytesMax is the default limit of a stream name in its canonical form.
const NameBytesMax = 1024

// Name identifies a stream: the escaped path below the stream root, in one
// canonical form. Two paths that mean the same stream have equal Names.
type Name string

// ParseName brings an escaped path, without its leading base and slash, into
// canonical form: escapes of characters that a path may hold literally are
// decoded, the others are written in upper case, so that %2F stays apart from
// a slash. Empty segments are kept; "." and ".." segments are refused, however
// they are written, because proxies and clients resolve them.
func ParseName(escaped string) (Name, error) {
	if escaped == "" {
		return "", malformed("stream name", "is empty", "name a stream below the base path, such as /v1/stream/my-stream")
	}
	out := escaped
	if !canonical(escaped) {
		var err error
		if out, err = canonicalize(escaped); err != nil {
			return "", err
		}
	}
	if len(out) > NameBytesMax {
		return "", &Rejection{Code: NameTooLong, Detail: "the stream name is longer than 1024 bytes; use a shorter path"}
	}
	for segment := range strings.SplitSeq(out, "/") {
		if segment == "." || segment == ".." {
			return "", malformed("stream name", "has a dot segment", "use a path without . and .. segments")
		}
	}
	return Name(out), nil
}

// ParsePrefix brings the beginning of an escaped path into the form that the
// names which begin with it have. It may end anywhere but inside an escape.
func ParsePrefix(escaped string) (string, error) {
	if len(escaped) > NameBytesMax {
		return "", &Rejection{Code: NameTooLong, Detail: "the beginning of a name is longer than 1024 bytes, which no name is"}
	}
	if canonical(escaped) {
		return escaped, nil
	}
	return canonicalize(escaped)
}

// canonical reports whether s needs no rewriting, the common case.
func canonical(s string) bool {
	for i := range len(s) {
		if !literal(s[i]) {
			return false
		}
	}
	return true
}

func canonicalize(s string) (string, error) {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) || !hex(s[i+1]) || !hex(s[i+2]) {
				return "", malformed("stream name", "has a malformed escape", "write a percent sign as %25")
			}
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
			if c == '/' {
				b.WriteString("%2F")
				continue
			}
		}
		if literal(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[c>>4])
		b.WriteByte("0123456789ABCDEF"[c&15])
	}
	return b.String(), nil
}

// literal reports whether c stands for itself in a path: RFC 3986 pchar and
// the slash between segments.
func literal(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-._~:@!$&'()*+,;=/", c) >= 0
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
