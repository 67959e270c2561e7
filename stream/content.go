package stream

import "strings"

// ContentType is a stream's MIME type as its creator wrote it (§9).
type ContentType string

// DefaultContentType is what a creation without Content-Type gets (§5.1).
const DefaultContentType ContentType = "application/octet-stream"

const contentTypeBytesMax = 255

// ParseContentType checks a Content-Type header. "" is returned for an absent
// or blank one.
func ParseContentType(header string) (ContentType, error) {
	s := strings.TrimSpace(header)
	if s == "" {
		return "", nil
	}
	if len(s) > contentTypeBytesMax {
		return "", malformed("Content-Type", "is longer than 255 bytes", "use a MIME type such as application/json")
	}
	main, sub, ok := strings.Cut(media(s), "/")
	if !ok || !token(main) || !token(sub) {
		return "", malformed("Content-Type", "is not a MIME type", "use type/subtype, such as application/json")
	}
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return "", malformed("Content-Type", "has a control character", "use type/subtype, such as application/json")
		}
	}
	return ContentType(s), nil
}

// Same reports whether c and d name the same media type. Case and parameters,
// such as a charset, do not count.
func (c ContentType) Same(d ContentType) bool {
	return c == d || strings.EqualFold(media(string(c)), media(string(d)))
}

// JSON reports JSON mode (§9.1).
func (c ContentType) JSON() bool { return strings.EqualFold(media(string(c)), "application/json") }

// Text reports whether SSE may carry the bytes as they are (§5.8).
func (c ContentType) Text() bool {
	m := media(string(c))
	return len(m) >= 5 && strings.EqualFold(m[:5], "text/") || c.JSON()
}

func media(s string) string {
	m, _, _ := strings.Cut(s, ";")
	return strings.TrimSpace(m)
}

func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
