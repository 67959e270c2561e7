package stream

import "unicode/utf8"

// frameJSON validates body and flattens one level of array (§9.1.2), in one pass.
// The bytes of each message are kept as they were sent: large integers, key order
// and duplicate keys survive. body is not changed.
func frameJSON(body []byte) (Payload, error) {
	s := jsonScan{b: body}
	p, ok := s.frame()
	switch {
	case !ok:
		return Payload{}, &Rejection{Code: BadJSON}
	case s.high >= utf8.RuneSelf && !utf8.Valid(body):
		return Payload{}, &Rejection{Code: BadJSON, Detail: "the body is JSON but not UTF-8; encode it as UTF-8"}
	}
	return p, nil
}

// frame splits the whole of the input.
func (s *jsonScan) frame() (p Payload, ok bool) {
	i := s.space(0)
	if i == len(s.b) {
		return p, false
	}
	if s.b[i] != '[' {
		end, ok := s.value(i, jsonDepthMax)
		if !ok || s.space(end) != len(s.b) {
			return p, false
		}
		p.Data = make([]byte, 0, end-i+1)
		p.add(s.b[i:end], 1)
		return p, true
	}
	if i = s.space(i + 1); s.at(i) != ']' {
		if i, ok = s.elements(i, &p); !ok {
			return p, false
		}
	}
	return p, s.space(i+1) == len(s.b)
}

// elements takes the elements of an array, which begin at i, into p, and returns
// the place of its end.
func (s *jsonScan) elements(i int, p *Payload) (int, bool) {
	p.Data = make([]byte, 0, len(s.b)-i)
	for {
		end, ok := s.value(i, jsonDepthMax-1)
		if !ok {
			return 0, false
		}
		p.add(s.b[i:end], (len(s.b)-i)/(end-i+1)+1)
		switch i = s.space(end); s.at(i) {
		case ',':
			i = s.space(i + 1)
		case ']':
			return i, true
		default:
			return 0, false
		}
	}
}

// messagesGuessMax bounds the room that is made for a table of messages before
// they have been seen.
const messagesGuessMax = 1024

// add appends a message. guess is how many there may be from this one on.
func (p *Payload) add(message []byte, guess int) {
	if p.Messages == nil {
		p.Messages = make([]uint32, 0, min(guess, messagesGuessMax))
	}
	p.Data = append(append(p.Data, message...), ',')
	p.Messages = append(p.Messages, uint32(len(message)+1))
}
