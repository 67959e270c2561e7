package stream

import (
	"encoding/json"
	"unicode/utf8"
)

// frameJSON validates body and flattens one level of array (§9.1.2). The bytes
// of each message are kept as they were sent: large integers, key order and
// duplicate keys survive.
func frameJSON(body []byte) (Payload, error) {
	if !json.Valid(body) {
		return Payload{}, &Rejection{Code: BadJSON}
	}
	if !utf8.Valid(body) {
		return Payload{}, &Rejection{Code: BadJSON, Detail: "the body is JSON but not UTF-8; encode it as UTF-8"}
	}
	body = trimSpace(body)
	if body[0] != '[' {
		data := make([]byte, 0, len(body)+1)
		data = append(append(data, body...), ',')
		return Payload{Data: data, Messages: []uint32{uint32(len(data))}}, nil
	}
	return flatten(body[1 : len(body)-1])
}

// flatten splits the inside of a valid array at its top-level commas.
func flatten(inside []byte) (Payload, error) {
	inside = trimSpace(inside)
	if len(inside) == 0 {
		return Payload{}, nil
	}
	p := Payload{Data: make([]byte, 0, len(inside)+1)}
	depth, start := 0, 0
	for i := 0; i < len(inside); i++ {
		switch inside[i] {
		case '"':
			i = stringEnd(inside, i)
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case ',':
			if depth == 0 {
				p.add(inside[start:i])
				start = i + 1
			}
		}
	}
	p.add(inside[start:])
	return p, nil
}

func (p *Payload) add(message []byte) {
	message = trimSpace(message)
	p.Data = append(append(p.Data, message...), ',')
	p.Messages = append(p.Messages, uint32(len(message)+1))
}

// stringEnd returns the index of the quote that ends the string begun at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && jsonSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && jsonSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func jsonSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
