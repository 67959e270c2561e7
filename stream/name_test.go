package stream

import (
	"errors"
	"strings"
	"testing"
)

func TestNamesHaveOneCanonicalForm(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"plain":                        {"room/1", "room/1"},
		"empty segments stay":          {"a//b", "a//b"},
		"leading and trailing slashes": {"/a/", "/a/"},
		"only slashes":                 {"//", "//"},
		"a global id":                  {"gid://app/Room/1/messages", "gid://app/Room/1/messages"},
		"unreserved is decoded":        {"%41%7a%30%2D%2e%5F%7E", "Az0-._~"},
		"sub-delimiters are decoded":   {"%3a%40%21%24%26%27%28%29%2a%2b%2c%3b", ":@!$&'()*+,;"},
		"a slash in a segment stays":   {"a%2fb", "a%2Fb"},
		"and differs from a slash":     {"a/b", "a/b"},
		"hex in upper case":            {"%c3%a9%0a%ff", "%C3%A9%0A%FF"},
		"percent stays escaped":        {"%25", "%25"},
		"decoded once only":            {"%252F", "%252F"},
		"no dot from a double escape":  {"%252e%252e", "%252e%252e"},
		"literal space and unicode":    {"a b\xc3\xa9", "a%20b%C3%A9"},
		"question mark and hash":       {"a%3Fb%23c", "a%3Fb%23c"},
		"NUL":                          {"a%00b", "a%00b"},
		"dots inside a segment":        {"a..b/...", "a..b/..."},
		"plus is a plus":               {"a+b", "a+b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseName(tt.in)
			if err != nil || string(got) != tt.want {
				t.Fatalf("ParseName(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	tests := map[string]struct {
		in   string
		code Code
	}{
		"empty":                     {"", Malformed},
		"dot":                       {".", Malformed},
		"dot dot":                   {"a/../b", Malformed},
		"dot segment at the end":    {"a/.", Malformed},
		"encoded dots":              {"a/%2e%2E/b", Malformed},
		"half encoded dots":         {".%2e", Malformed},
		"cut escape":                {"a%2", Malformed},
		"bare percent":              {"100%", Malformed},
		"not hexadecimal":           {"%zz", Malformed},
		"too long":                  {strings.Repeat("a", NameBytesMax+1), NameTooLong},
		"too long once canonical":   {strings.Repeat("é", NameBytesMax/6+1), NameTooLong},
		"dot segment beside a %2F ": {"a%2Fb/..", Malformed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseName(tt.in)
			if !errors.Is(err, &Rejection{Code: tt.code}) {
				t.Fatalf("ParseName(%q) = %q, %v; want code %d", tt.in, got, err, tt.code)
			}
		})
	}
	for _, long := range []string{strings.Repeat("a", NameBytesMax), strings.Repeat("%41", NameBytesMax)} {
		if _, err := ParseName(long); err != nil {
			t.Fatalf("a name of exactly the limit is refused: %v", err)
		}
	}
}

func FuzzNameIsCanonical(f *testing.F) {
	for _, s := range []string{"a/b", "a%2fb", "%2e%2e", "a//b", "%25%32%46", "é %zz", ":@!$&'()*+,;=", "%3d", "%%", "a%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := ParseName(s)
		if err != nil {
			return
		}
		if again, err := ParseName(string(once)); err != nil || again != once {
			t.Fatalf("%q → %q → %q, %v: the canonical form does not parse to itself", s, once, again, err)
		}
		if got, want := percentDecode(string(once)), percentDecode(s); got != want {
			t.Fatalf("%q → %q: means %q, meant %q", s, once, got, want)
		}
		for segment := range strings.SplitSeq(string(once), "/") {
			if segment == "." || segment == ".." {
				t.Fatalf("%q → %q has a dot segment", s, once)
			}
		}
		if strings.Count(s, "/") != strings.Count(string(once), "/") {
			t.Fatalf("%q → %q: the number of segments changed", s, once)
		}
		// Whatever is escaped entirely means the same stream, except that an
		// escaped slash is no separator.
		var all strings.Builder
		for i := range len(once) {
			if once[i] == '/' || once[i] == '%' || i > 0 && once[i-1] == '%' || i > 1 && once[i-2] == '%' {
				all.WriteByte(once[i])
				continue
			}
			all.WriteByte('%')
			all.WriteByte("0123456789abcdef"[once[i]>>4])
			all.WriteByte("0123456789abcdef"[once[i]&15])
		}
		if got, err := ParseName(all.String()); err != nil || got != once {
			t.Fatalf("%q is %q, %v; %q is the same stream", all.String(), got, err, once)
		}
	})
}

// percentDecode is the plainest decoder: it knows no canonical form.
func percentDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			n := strings.IndexByte("0123456789abcdef", lower(s[i+1]))<<4 | strings.IndexByte("0123456789abcdef", lower(s[i+2]))
			if n >= 0 {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
