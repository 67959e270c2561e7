package settings

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"mainstem/deliver"
	"mainstem/httpapi"
	"mainstem/storage"
)

// value reads the text of one setting into its field. What is not valid leaves
// the field as it was and says why, without the name of the setting.
type value struct {
	kind    string // for people: docs and flag help
	list    bool   // a repeated flag adds to it, and a file may give it as an array
	number  bool   // a file may give it as a number
	truth   bool   // a file may give it as true or false
	put     func(c *Config, text string) error
	rewrite func(text string) (string, error) // of an older name: as the present one writes it
}

// text is any line without control characters.
func text(field func(*Config) *string) value {
	return value{kind: "text", put: func(c *Config, s string) error {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%q holds a control character", s)
		}
		*field(c) = s
		return nil
	}}
}

// choice is one of a few words.
func choice(field func(*Config) *string, words ...string) value {
	return value{kind: strings.Join(words, "|"), put: func(c *Config, s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
		}
		*field(c) = s
		return nil
	}}
}

// address is HOST:PORT to listen at; the host may be empty and the port 0.
func address(field func(*Config) *string) value {
	return value{kind: "HOST:PORT", put: func(c *Config, s string) error {
		if err := CheckAddress(s); err != nil {
			return err
		}
		*field(c) = s
		return nil
	}}
}

// addresses is a comma-separated list of HOST:PORT to dial.
func addresses(field func(*Config) *[]string) value {
	return value{kind: "HOST:PORT,…", list: true, put: func(c *Config, s string) error {
		var list []string
		for part := range strings.SplitSeq(s, ",") {
			part = strings.TrimSpace(part)
			if part == "" { // an empty list, or a comma too many from a template
				continue
			}
			if err := CheckAddress(part); err != nil {
				return err
			}
			if host, port, _ := net.SplitHostPort(part); host == "" || port == "0" {
				return fmt.Errorf("%q is not an address that can be dialled: want HOST:PORT", part)
			}
			list = append(list, part)
		}
		*field(c) = list
		return nil
	}}
}

// origins is a comma-separated list of scheme://host, or "*".
func origins(field func(*Config) *[]string) value {
	return value{kind: "ORIGIN,…", list: true, put: func(c *Config, s string) error {
		var list []string
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		if err := (httpapi.Config{CORSOrigins: list}).Validate(); err != nil {
			return err
		}
		*field(c) = list
		return nil
	}}
}

// someOf is a comma-separated list of some of a few words, none of them twice.
func someOf(field func(*Config) *[]string, known ...string) value {
	return value{kind: strings.Join(known, "|") + ",…", list: true, put: func(c *Config, s string) error {
		var list []string
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			if !slices.Contains(known, part) {
				return fmt.Errorf("%q is none of %s", part, strings.Join(known, ", "))
			}
			if slices.Contains(list, part) {
				return fmt.Errorf("%q is there twice", part)
			}
			list = append(list, part)
		}
		*field(c) = list
		return nil
	}}
}

// headerNames is a comma-separated list of names of HTTP headers.
func headerNames(field func(*Config) *[]string) value {
	return value{kind: "HEADER,…", list: true, put: func(c *Config, s string) error {
		var list []string
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			if !httpguts.ValidHeaderFieldName(part) {
				return fmt.Errorf("%q is no name of a header", part)
			}
			list = append(list, part)
		}
		*field(c) = list
		return nil
	}}
}

// headerPairs is a comma-separated list of NAME=VALUE, which an error does not
// repeat.
func headerPairs(field func(*Config) *[]string) value {
	return value{kind: "NAME=VALUE,…", list: true, put: func(c *Config, s string) error {
		var list []string
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			name, text, ok := strings.Cut(part, "=")
			if !ok || !httpguts.ValidHeaderFieldName(strings.TrimSpace(name)) || !httpguts.ValidHeaderFieldValue(strings.TrimSpace(text)) {
				return errors.New("one of the headers is not NAME=VALUE")
			}
			list = append(list, part)
		}
		*field(c) = list
		return nil
	}}
}

// webURL is an http or https URL.
func webURL(field func(*Config) *string) value {
	return value{kind: "URL", put: func(c *Config, s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fmt.Errorf("%q is not an http or https URL without a user", s)
		}
		*field(c) = s
		return nil
	}}
}

// publicURL is scheme://host, without a path.
func publicURL(field func(*Config) *string) value {
	return value{kind: "ORIGIN", put: func(c *Config, s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.TrimSuffix(s, "/") != u.Scheme+"://"+u.Host {
			return fmt.Errorf("%q is not a scheme and a host like https://streams.example", s)
		}
		*field(c) = strings.TrimSuffix(s, "/")
		return nil
	}}
}

// keyEncryptionKey is 32 bytes as text, which an error does not repeat.
func keyEncryptionKey(field func(*Config) *[]byte) value {
	return value{kind: "key", put: func(c *Config, s string) error {
		key, err := deliver.ParseKey(s)
		if err != nil {
			return err
		}
		*field(c) = key
		return nil
	}}
}

// CheckAddress refuses what is no host and port.
func CheckAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port between 0 and 65535", s)
	}
	return nil
}

// duration is a positive Go duration.
func duration(field func(*Config) *time.Duration) value {
	return value{kind: "duration", put: func(c *Config, s string) error {
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%q is not a duration like 500ms, 30s or 2m", s)
		}
		if d <= 0 {
			return fmt.Errorf("%s is not above zero", s)
		}
		*field(c) = d
		return nil
	}}
}

// seconds is the older way to write a duration: a decimal number. It has no
// field: what it says is rewritten for the key it is an alias of.
func seconds() value {
	return value{kind: "seconds", number: true, rewrite: secondsToDuration}
}

// secondsToDuration rewrites decimal seconds as a Go duration.
func secondsToDuration(s string) (string, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return "", fmt.Errorf("%q is not a number of seconds", s)
	}
	if n <= 0 || n > math.MaxInt64/float64(time.Second) {
		return "", fmt.Errorf("%s seconds is not between zero and some 292 years", s)
	}
	return time.Duration(n * float64(time.Second)).String(), nil
}

// rustLog reads what the Rust server's log filter says as one of our levels: of
// its directives the one without a target, which is for all.
func rustLog() value {
	return value{kind: "filter", rewrite: func(text string) (string, error) {
		for part := range strings.SplitSeq(text, ",") {
			switch word := strings.ToLower(strings.TrimSpace(part)); word {
			case "trace":
				return "debug", nil
			case "off":
				return "error", nil
			case "debug", "info", "warn", "error":
				return word, nil
			}
		}
		return "", fmt.Errorf("%q names no level for all: want one of trace, debug, info, warn, error, off", text)
	}}
}

// flag is true or false.
func flag(field func(*Config) *bool) value {
	return value{kind: "true|false", truth: true, put: func(c *Config, s string) error {
		switch s {
		case "true":
			*field(c) = true
		case "false":
			*field(c) = false
		default:
			return fmt.Errorf("%q is neither true nor false", s)
		}
		return nil
	}}
}

// share is a part of 1.
func share(field func(*Config) *float64) value {
	return value{kind: "share", number: true, put: func(c *Config, s string) error {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || !(n >= 0 && n <= 1) {
			return fmt.Errorf("%q is not a number between 0 and 1", s)
		}
		*field(c) = n
		return nil
	}}
}

// count is a whole number from lo to hi.
func count(field func(*Config) *int, lo, hi int) value {
	return value{kind: "number", number: true, put: func(c *Config, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		if n < lo || n > hi {
			return fmt.Errorf("%d is not between %d and %d", n, lo, hi)
		}
		*field(c) = n
		return nil
	}}
}

// size is a number of bytes from lo to hi, with an optional unit.
func size(field func(*Config) *int64, lo, hi int64) value {
	return value{kind: "bytes", number: true, put: func(c *Config, s string) error {
		n, err := ParseSize(s)
		if err != nil {
			return err
		}
		if n < lo || n > hi {
			return fmt.Errorf("%s is not between %s and %s", s, FormatSize(lo), FormatSize(hi))
		}
		*field(c) = n
		return nil
	}}
}

// mark is an amount of free disk space: a size, or a share such as 5%.
func mark(field func(*Config) *storage.Mark) value {
	return value{kind: "bytes or %", put: func(c *Config, s string) error {
		share, isShare := strings.CutSuffix(s, "%")
		if !isShare {
			n, err := ParseSize(s)
			if err == nil && n <= 0 {
				err = fmt.Errorf("%s is not above zero", s)
			}
			if err == nil {
				*field(c) = storage.Mark{Bytes: n}
			}
			return err
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
		if err != nil || !(n > 0 && n < 100) {
			return fmt.Errorf("%q is not a share between 0%% and 100%%", s)
		}
		*field(c) = storage.Mark{Percent: n}
		return nil
	}}
}

type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are tried in order, so a longer name comes before its own ending.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
	}
}

// ParseSize reads a number of bytes, with or without a unit.
func ParseSize(s string) (int64, error) {
	digits, unit := s, int64(1)
	for _, u := range sizeUnits() {
		if head, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = strings.TrimSpace(head), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/unit || n < math.MinInt64/unit {
		return 0, fmt.Errorf("%q is not a size like 4096, 64KiB or 10MiB", s)
	}
	return n * unit, nil
}

// FormatSize is the inverse of ParseSize, in the largest unit that fits.
func FormatSize(n int64) string {
	for _, u := range slices.Backward(sizeUnits()[:4]) {
		if n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
