package stream

import (
	"bytes"
	"encoding/json"
)

// AppendStateEvents appends the wire bytes of one append of JSON to dst, and says in
// each event of the State Protocol among its messages where the append ends: as
// headers.offset, in place of the one that the event came with, if any. An event is
// an object whose headers have a string as operation or control. Every other byte
// stays as it was sent. Of a key that an object has twice the last one counts.
func AppendStateEvents(dst, data []byte, end Offset) []byte {
	s := jsonScan{b: data}
	done := 0
	for i := 0; i < len(data); i++ { // over the comma after each message
		var at place
		var ok bool
		if i, at, ok = s.message(i); !ok {
			break // never what Frame made; it goes out as it is
		}
		if !at.found {
			continue
		}
		dst = append(dst, data[done:at.from]...)
		if at.from == at.to {
			dst = append(dst, `,"offset":`...)
		}
		dst = append(dst, '"')
		dst = append(end.AppendTo(dst), '"')
		done = at.to
	}
	return append(dst, data[done:]...)
}

// place is where headers.offset belongs in a message: instead of the bytes from
// from to to, or as another member if there are none.
type place struct {
	from, to int
	found    bool
}

// message returns the end of the message at i, and where its offset belongs if it
// is an event of the State Protocol.
func (s *jsonScan) message(i int) (end int, at place, ok bool) {
	if s.at(i) != '{' {
		end, ok = s.value(i, jsonDepthMax)
		return end, at, ok
	}
	headers := -1
	end, ok = s.members(i, func(key []byte, from, _ int) {
		if isKey(key, "headers") {
			headers = from
		}
	})
	if !ok || headers < 0 || s.at(headers) != '{' {
		return end, at, ok
	}
	last, operation, control := 0, false, false
	_, ok = s.members(headers, func(key []byte, from, to int) {
		switch {
		case isKey(key, "operation"):
			operation = s.at(from) == '"'
		case isKey(key, "control"):
			control = s.at(from) == '"'
		case isKey(key, "offset"):
			at.from, at.to = from, to
		}
		last = to
	})
	if at.to == 0 {
		at.from, at.to = last, last
	}
	at.found = operation || control
	return end, at, ok
}

// members visits the members of the object at i, each with its key in quotes and
// the bounds of its value, and returns the end of the object.
func (s *jsonScan) members(i int, visit func(key []byte, from, to int)) (end int, ok bool) {
	if i = s.space(i + 1); s.at(i) == '}' {
		return i + 1, true
	}
	for {
		from, ok := s.key(i)
		if !ok {
			return 0, false
		}
		to, ok := s.value(from, jsonDepthMax)
		if !ok {
			return 0, false
		}
		visit(s.b[i:from], from, to)
		switch i = s.space(to); s.at(i) {
		case ',':
			i = s.space(i + 1)
		case '}':
			return i + 1, true
		default:
			return 0, false
		}
	}
}

// isKey reports that key, in quotes and with what stands between it and its value,
// means name. Escapes are rare, and none of them is shorter than what it means.
func isKey(key []byte, name string) bool {
	rest, plain := bytes.CutPrefix(key[1:], []byte(name))
	if plain && rest[0] == '"' {
		return true
	}
	if bytes.IndexByte(key, '\\') < 0 {
		return false
	}
	var text string
	err := json.Unmarshal(bytes.TrimRight(key, " \t\r\n:"), &text)
	return err == nil && text == name
}
