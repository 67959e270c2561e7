package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// format is how a message carries its writer, its number in the lane of that writer
// on its stream, and the moment it was sent, so that whoever reads it can check it:
//
//	JSON   {"w":"000007","n":"0000000042","t":"1700000000000000000","x":"some words"}
//	bytes  w000007n0000000042t1700000000000000000xsome words\n
//
// The rest is words, other ones in each message: a server that packs what it stores
// gets what text would give it, and not more.
type format struct {
	json          bool
	size          int
	wAt, nAt, tAt int
	blank         []byte
	fillAt, fill  int
	words         []byte
}

const (
	writerDigits = 6
	numberDigits = 10
	timeDigits   = 19
)

type message struct {
	writer int
	number uint64
	sent   int64 // Unix nanoseconds
}

func newFormat(isJSON bool, size int) *format {
	f := &format{json: isJSON}
	head, end := "w000000n0000000000t0000000000000000000x", "\n"
	f.wAt, f.nAt, f.tAt = 1, 8, 19
	if isJSON {
		head, end = `{"w":"000000","n":"0000000000","t":"0000000000000000000","x":"`, `"}`
		f.wAt, f.nAt, f.tAt = 6, 19, 36
	}
	f.fillAt, f.fill = len(head), max(0, size-len(head)-len(end))
	f.words = prose(2*f.fill + proseBytes)
	f.blank = append([]byte(head), f.words[:f.fill]...)
	f.blank = append(f.blank, end...)
	f.size = len(f.blank)
	return f
}

func (f *format) contentType() string {
	if f.json {
		return "application/json"
	}
	return "application/octet-stream"
}

// body is a request body of some messages, used again for each request.
type body struct {
	format *format
	text   []byte
	starts []int // of the messages
}

func (f *format) body(messages int) *body {
	b := &body{format: f}
	array := f.json && messages > 1
	for i := range messages {
		switch {
		case array && i == 0:
			b.text = append(b.text, '[')
		case array:
			b.text = append(b.text, ',')
		}
		b.starts = append(b.starts, len(b.text))
		b.text = append(b.text, f.blank...)
	}
	if array {
		b.text = append(b.text, ']')
	}
	return b
}

// stamp makes the body that of a writer's next messages.
func (b *body) stamp(writer int, number uint64, sent int64) []byte {
	for i, at := range b.starts {
		m := b.text[at:]
		putDigits(m[b.format.wAt:][:writerDigits], uint64(writer))
		putDigits(m[b.format.nAt:][:numberDigits], number+uint64(i))
		putDigits(m[b.format.tAt:][:timeDigits], uint64(sent))
		b.format.fillIn(m, uint64(writer), number+uint64(i))
	}
	return b.text
}

// fillIn gives a message the words of its writer and number.
func (f *format) fillIn(m []byte, writer, number uint64) {
	from := (writer*7919 + number*uint64(f.fill+17)) % uint64(len(f.words)-f.fill+1)
	copy(m[f.fillAt:][:f.fill], f.words[from:])
}

func putDigits(b []byte, n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

func digits(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, true
}

func (f *format) parse(m []byte) (message, error) {
	if len(m) >= f.tAt+timeDigits {
		w, ok1 := digits(m[f.wAt:][:writerDigits])
		n, ok2 := digits(m[f.nAt:][:numberDigits])
		t, ok3 := digits(m[f.tAt:][:timeDigits])
		if ok1 && ok2 && ok3 {
			return message{int(w), n, int64(t)}, nil
		}
	}
	return message{}, fmt.Errorf("no message of ours: %.80q", m)
}

var jsonHead = []byte(`{"w":"`)

// each calls fn for the messages in data and returns the beginning of one that is
// not whole, which only bytes have: JSON comes as whole arrays.
func (f *format) each(data []byte, fn func(message)) (rest []byte, err error) {
	if !f.json {
		for ; len(data) >= f.size; data = data[f.size:] {
			m, err := f.parse(data[:f.size])
			if err != nil {
				return nil, err
			}
			fn(m)
		}
		return data, nil
	}
	for first := true; ; first = false {
		// Most servers keep the bytes of a message. What fills it holds no quote, so
		// its head is found only where a message begins.
		i := bytes.Index(data, jsonHead)
		if i < 0 {
			if left := bytes.Trim(data, "[], \r\n\t"); len(left) == 0 {
				return nil, nil
			}
			if first {
				return nil, f.eachDecoded(data, fn)
			}
			return nil, fmt.Errorf("no message of ours: %.80q", data)
		}
		m, err := f.parse(data[i:])
		if err != nil {
			return nil, err
		}
		fn(m)
		data = data[min(len(data), i+f.size):]
	}
}

// eachDecoded is for servers that write JSON anew.
func (f *format) eachDecoded(data []byte, fn func(message)) error {
	var messages []struct{ W, N, T string }
	if err := json.Unmarshal(data, &messages); err != nil {
		return fmt.Errorf("read an array of messages: %w", err)
	}
	for _, m := range messages {
		w, errW := strconv.Atoi(m.W)
		n, errN := strconv.ParseUint(m.N, 10, 64)
		t, errT := strconv.ParseInt(m.T, 10, 64)
		if errW != nil || errN != nil || errT != nil {
			return fmt.Errorf("no message of ours: %+v", m)
		}
		fn(message{w, n, t})
	}
	return nil
}

// count counts messages, cheaply.
func (f *format) count(data []byte) uint64 {
	if f.json {
		return uint64(bytes.Count(data, []byte(`"w":`)))
	}
	return uint64(len(data) / f.size)
}
