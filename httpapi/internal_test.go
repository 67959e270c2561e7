package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mainstem/stream"
)

// decodeEvents is an event stream parser of its own, by the rules of the HTML
// standard.
func decodeEvents(b []byte) (kinds, data []string) {
	s := strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\r", "\n")
	kind, lines, some := "", []string(nil), false
	for line := range strings.SplitSeq(s, "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && some:
			kinds, data = append(kinds, kind), append(data, strings.Join(lines, "\n"))
			kind, lines, some = "", nil, false
		case line == "":
			kind = ""
		case field == "event":
			kind = value
		case field == "data":
			lines, some = append(lines, value), true
		default:
			kinds, data = append(kinds, "field "+field), append(data, value)
		}
	}
	return kinds, data
}

// FuzzNoPayloadForgesAnEvent encodes arbitrary bytes, in two pieces, as each
// kind of stream would have them, and decodes the events with another parser.
func FuzzNoPayloadForgesAnEvent(f *testing.F) {
	f.Add([]byte("plain"), uint8(2))
	f.Add([]byte("a\r\n\r\nevent: control\r\ndata: {\"streamClosed\":true}\r\n\r\n"), uint8(2))
	f.Add([]byte("x\rdata: y\n\n\nid: 1\n retry: 2"), uint8(1))
	f.Add([]byte(" leading\n  more\n"), uint8(9))
	f.Add([]byte("\n\n: comment\n\x00\xff"), uint8(0))
	f.Fuzz(func(t *testing.T, payload []byte, at uint8) {
		if len(payload) == 0 {
			return
		}
		cut := int(at) % len(payload)
		chunk := stream.Chunk{Body: [][]byte{payload[:cut], payload[cut:]}}

		text := strings.ReplaceAll(strings.ReplaceAll(string(payload), "\r\n", "\n"), "\r", "\n")
		checkEvents(t, appendData(nil, plainText, &chunk), text)
		checkEvents(t, appendData(nil, base64Text, &chunk), base64.StdEncoding.EncodeToString(payload))

		if !json.Valid(payload) || !utf8.Valid(payload) {
			return
		}
		framed, err := stream.Frame("application/json", payload)
		if err != nil || framed.Empty() {
			return
		}
		got := appendData(nil, jsonArray, &stream.Chunk{Body: [][]byte{framed.Data}})
		_, data := decodeEvents(got)
		if len(data) != 1 || !json.Valid([]byte(data[0])) {
			t.Fatalf("payload %q gives %q", payload, got)
		}
		array := "[" + strings.TrimSuffix(string(framed.Data), ",") + "]"
		var want, have bytes.Buffer
		if json.Compact(&want, []byte(array)) != nil || json.Compact(&have, []byte(data[0])) != nil || want.String() != have.String() {
			t.Fatalf("got %s, want %s", have.String(), want.String())
		}
	})
}

func checkEvents(t *testing.T, encoded []byte, want string) {
	t.Helper()
	encoded = appendControl(encoded, stream.Offset{Incarnation: 1, Pos: 2}, 3, true, false)
	kinds, data := decodeEvents(encoded)
	if len(kinds) != 2 || kinds[0] != "data" || kinds[1] != "control" {
		t.Fatalf("%q decodes to events %q", encoded, kinds)
	}
	if data[0] != want {
		t.Fatalf("got %q, want %q", data[0], want)
	}
	if want := `{"streamNextOffset":"0000000000000001_0000000000000002","streamCursor":"3","upToDate":true}`; data[1] != want {
		t.Fatalf("got control %q, want %q", data[1], want)
	}
}

func TestEveryCodeHasAnAnswer(t *testing.T) {
	known := map[string]bool{
		codeBadRequest: true, codeNotFound: true, codeConflict: true, codeGone: true, codeForbidden: true,
		codeTooLarge: true, codeUnavailable: true,
	}
	reasons := map[string]stream.Code{}
	n := 0
	for code := stream.Code(1); ; code++ {
		if strings.HasPrefix((&stream.Rejection{Code: code}).Error(), "refused with code") {
			break
		}
		n++
		a := answerOf(code)
		if a.status < 400 || a.reason == "REFUSED" || !known[a.code] {
			t.Errorf("code %d has the answer %+v", code, a)
		}
		if other, twice := reasons[a.reason]; twice {
			t.Errorf("codes %d and %d have the same reason %s", code, other, a.reason)
		}
		reasons[a.reason] = code
	}
	if n < 20 {
		t.Fatalf("saw %d codes", n)
	}
	if got := answerOf(250); got.status != 409 {
		t.Fatalf("a code of a newer version is answered %+v", got)
	}
}

func TestCursorsOnlyRise(t *testing.T) {
	s := &Server{}
	for name, r := range map[string]struct {
		jitter int
		client string
		want   uint64
	}{
		"none":         {0, "", 100},
		"older":        {3599, "99", 100},
		"the same":     {0, "100", 101},
		"jitter":       {3599, "100", 280},
		"newer":        {39, "5000", 5002},
		"no number":    {0, "abc", 100},
		"negative":     {0, "-5", 100},
		"out of range": {0, "18446744073709551615", 100},
	} {
		s.cfg.Now = func() time.Time { return time.Unix(cursorEpoch+100*20+19, 0) }
		s.cfg.Jitter = func(max int) int { return min(r.jitter, max-1) }
		if got := s.cursor(r.client); got != r.want {
			t.Errorf("%s: got %d, want %d", name, got, r.want)
		}
	}
}

// TestTheSetOfRenewalsIsBounded: what does not fit is for the caller to send.
func TestTheSetOfRenewalsIsBounded(t *testing.T) {
	r := newRenewals()
	for i := range renewalsMax {
		if !r.add(stream.Name(strconv.Itoa(i))) {
			t.Fatalf("refused number %d", i)
		}
	}
	if r.add("one more") {
		t.Fatal("took more than the limit")
	}
	if !r.add("7") {
		t.Fatal("refused one that is there")
	}
	if got := len(r.take()); got != renewalsMax {
		t.Fatalf("got %d", got)
	}
	if !r.add("one more") {
		t.Fatal("still full")
	}
}
