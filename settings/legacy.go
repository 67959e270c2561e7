package settings

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// notes tells what a layer says under a name that should not be used any more,
// once the aliases are resolved.
func (l *layer) notes(table []setting) (notes []string) {
	for _, s := range table {
		_, said := l.texts[s.key]
		switch {
		case !s.legacy:
		case s.alias != "" && l.older[s.alias].key == s.key:
			notes = append(notes, fmt.Sprintf("%s: %s is an older name of %s; write that", l.name(s), s.key, s.alias))
		case s.alias == "" && said:
			notes = append(notes, fmt.Sprintf("%s: %s is a setting of the Rust server that has no effect here; take it out", l.name(s), s.key))
		}
	}
	return notes
}

// port is the older way to say where clients are served: on all addresses. It has
// no field, as seconds.
func port() value {
	return value{kind: "port", number: true, rewrite: func(text string) (string, error) {
		if n, err := strconv.ParseUint(text, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("%q is not a port between 1 and 65535", text)
		}
		return net.JoinHostPort("0.0.0.0", text), nil
	}}
}

// unused is a value of the Rust server's that changes nothing here. judge, if any,
// refuses those whose meaning would be missed.
func unused(kind string, judge func(text string) error) value {
	return value{kind: kind, number: kind == "number", put: func(_ *Config, text string) error {
		if judge != nil {
			return judge(text)
		}
		if _, err := strconv.ParseUint(text, 10, 32); err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		return nil
	}}
}

func notInMemory(text string) error {
	switch text {
	case "file":
		return nil
	case "in-memory":
		return errors.New(`"in-memory" would keep nothing at the end; if that is meant, set storage.mode to memory`)
	}
	return fmt.Errorf("%q is none of file, in-memory", text)
}
