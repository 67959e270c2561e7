package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJSONFraming(t *testing.T) {
	tests := map[string]struct {
		body     string
		messages []string
	}{
		"object":                 {`{"event":"created"}`, []string{`{"event":"created"}`}},
		"two in an array":        {`[{"a":1},{"b":2}]`, []string{`{"a":1}`, `{"b":2}`}},
		"one level only":         {`[[1,2],[3,4]]`, []string{`[1,2]`, `[3,4]`}},
		"two levels":             {`[[[1,2,3]]]`, []string{`[[1,2,3]]`}},
		"inner empty array":      {`[[]]`, []string{`[]`}},
		"empty array":            {`[]`, nil},
		"empty array, spaces":    {" [ \n\t\r ] ", nil},
		"scalars":                {`[1,"a",null,true,false,-0.5e+3]`, []string{`1`, `"a"`, `null`, `true`, `false`, `-0.5e+3`}},
		"bare scalar":            {` "x" `, []string{`"x"`}},
		"null is a message":      {`null`, []string{`null`}},
		"large integers":         {`[9007199254740993,123456789012345678901234567890]`, []string{`9007199254740993`, `123456789012345678901234567890`}},
		"order and duplicates":   {`{"b":1,"a":2,"b":3}`, []string{`{"b":1,"a":2,"b":3}`}},
		"inner whitespace stays": {"[ {\"a\" : 1 ,\n \"b\":[ 1 , 2 ] } , 2 ]", []string{"{\"a\" : 1 ,\n \"b\":[ 1 , 2 ] }", "2"}},
		"brackets in strings":    {`["],[","{\"}","\\\"],[","\\"]`, []string{`"],["`, `"{\"}"`, `"\\\"],["`, `"\\"`}},
		"escapes stay":           {`["\u00e9\/","é","\ud83d\ude00"]`, []string{`"\u00e9\/"`, `"é"`, `"\ud83d\ude00"`}},
		"escaped commas":         {`["a,b",{"k,":","}]`, []string{`"a,b"`, `{"k,":","}`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := Frame("application/json; charset=utf-8", []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := splitMessages(t, p); !reflect.DeepEqual(got, tt.messages) {
				t.Fatalf("%s became %q, want %q", tt.body, got, tt.messages)
			}
		})
	}
}

func TestInvalidJSONIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"blank": "  ", "word": "hello", "cut": `{"a":`, "two values": `{} {}`, "trailing comma": `[1,]`, "single quotes": `{'a':1}`,
		"NaN": "NaN", "leading zero": "01", "comment": "1 // x", "byte order mark": "\xef\xbb\xbf{}", "control in string": "\"a\nb\"",
		"invalid UTF-8": "\"a\xffb\"", "cut UTF-8": "[\"\xe2\x82\"]", "encoded surrogate": "\"\xed\xa0\x80\"", "form feed": "\f{}", "array left open": `[1,2`,
		"too deep": strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := Frame("application/json", []byte(body)); !errors.Is(err, &Rejection{Code: BadJSON}) {
				t.Fatalf("%q became %q, %v; want BadJSON", body, p.Data, err)
			}
		})
	}
}

func TestOtherContentIsKeptAsItIs(t *testing.T) {
	for _, ct := range []ContentType{"text/plain", "application/ndjson", "application/octet-stream", ""} {
		body := []byte(" [1,\xff\x00] ")
		p, err := Frame(ct, body)
		if err != nil || !bytes.Equal(p.Data, body) || p.Messages != nil {
			t.Fatalf("%q: %q %v, %v", ct, p.Data, p.Messages, err)
		}
	}
	if p, err := Frame("application/json", nil); err != nil || !p.Empty() {
		t.Fatalf("no body: %v, %v", p, err)
	}
}

// splitMessages undoes the wire form by the table of lengths.
func splitMessages(t testing.TB, p Payload) (messages []string) {
	t.Helper()
	rest := p.Data
	for _, n := range p.Messages {
		if n < 2 || int(n) > len(rest) || rest[n-1] != ',' {
			t.Fatalf("message of %d bytes in %q", n, rest)
		}
		messages, rest = append(messages, string(rest[:n-1])), rest[n:]
	}
	if len(rest) > 0 {
		t.Fatalf("%q is in no message", rest)
	}
	return messages
}

func FuzzJSONFraming(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `[1,2]`, `[[1],[2]]`, ` [ "a]" , {"b":[1,","]} ] `, `"\\"`, `[`, `[1,]`, "\"\xff\"", `[9007199254740993]`, `[{"a":1,"a":2}]`, `["\"",","]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 {
			return
		}
		sent := bytes.Clone(body)
		p, err := Frame("application/json", body)
		if !bytes.Equal(sent, body) {
			t.Fatalf("the body was changed from %q to %q", sent, body)
		}
		if valid := json.Valid(body) && utf8.Valid(body); (err == nil) != valid {
			t.Fatalf("%q: %v; valid is %v", body, err, valid)
		}
		if err != nil {
			return
		}
		want := []any{}
		if v := decodeJSON(t, body); reflect.TypeOf(v) == reflect.TypeOf(want) {
			want = v.([]any)
		} else {
			want = append(want, v)
		}
		wire := append([]byte{'['}, bytes.TrimSuffix(p.Data, []byte{','})...)
		if got := decodeJSON(t, append(wire, ']')); !reflect.DeepEqual(got, any(want)) {
			t.Fatalf("%q is read as %v, want %v", body, got, want)
		}
		messages := splitMessages(t, p)
		if len(messages) != len(want) {
			t.Fatalf("%q has %d messages, want %d", body, len(messages), len(want))
		}
		rest := body
		for i, m := range messages {
			if got := decodeJSON(t, []byte(m)); !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("message %d of %q is %q", i, body, m)
			}
			at := bytes.Index(rest, []byte(m))
			if at < 0 {
				t.Fatalf("message %q is not in %q as it was sent", m, body)
			}
			rest = rest[at+len(m):]
		}
	})
}

func decodeJSON(t testing.TB, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decode %q: %v", b, err)
	}
	return v
}

// Each verdict is encoding/json's, at the limit of nesting too.
func TestJSONVerdictsAreThoseOfTheStandardLibrary(t *testing.T) {
	bodies := []string{
		`-`, `-0`, `-01`, `0.`, `.5`, `1e`, `1e+`, `1E-2`, `1.5e+07`, `+1`, `0x1`, `1 2`, `tru`, `truex`, `nul`, `false `, `"`, `"\`, `"\u12"`, `"\u12G4"`, `"\x"`, "\"\x7f\"", "\"\x1f\"", "\"\x00\"",
		`{`, `{}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1]`, `[1}`, `[1 2]`, `[,1]`, `[[],{}]`, `[{"a":[{"b":[]}]}]`, `]`, `}`, `,`, `[]]`, `[] 1`, `{"a":{"b":{}}}`, "[1\x00]", "1\x00", "\x00",
		`"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"`, `"aaaaaaa\nbbbbbbbbbbbbbbb\u00e9ccccccccc"`, "\"aaaaaaaaaaaa\nb\"", "\"1234567\"", "\"12345678\"", "\"123456789\"", "\"\x80234567890\"", "\"1234567890\xff\"",
	}
	for _, depth := range []int{63, 64, 65, 128, 129, 9998, 9999, 10000, 10001} {
		for _, ends := range [][2]string{{"[", "]"}, {`{"a":`, "}"}, {`[{"a":`, "}]"}} {
			n := depth / (len(ends[1])) // containers in each
			bodies = append(bodies, strings.Repeat(ends[0], n)+"1"+strings.Repeat(ends[1], n), strings.Repeat(ends[0], n)+"1"+strings.Repeat(ends[1], n-1))
		}
	}
	for _, body := range bodies {
		_, err := Frame("application/json", []byte(body))
		if valid := json.Valid([]byte(body)) && utf8.ValidString(body); (err == nil) != valid {
			t.Errorf("%.60q of %d bytes: %v; the standard library says %v", body, len(body), err, valid)
		}
	}
}

func TestJSONFramingAllocatesTwice(t *testing.T) {
	one := []byte(`{"event":"created","at":1763722000,"tags":["a","b"],"text":"caf\u00e9 – naïve"}`)
	many := []byte("[" + strings.Repeat(string(one)+",", 99) + string(one) + "]")
	for name, body := range map[string][]byte{"one": one, "a hundred": many} {
		got := testing.AllocsPerRun(100, func() {
			if _, err := Frame("application/json", body); err != nil {
				t.Fatal(err)
			}
		})
		if got > 2 { // the data and the table of lengths
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func BenchmarkJSONFraming(b *testing.B) {
	one := `{"event":"created","at":1763722000,"tags":["a","b"],"text":"` + strings.Repeat("lorem ipsum ", 15) + `"}`
	for name, body := range map[string]string{"one": one, "a hundred": "[" + strings.Repeat(one+",", 99) + one + "]"} {
		b.Run(name, func(b *testing.B) {
			sent := []byte(body)
			b.SetBytes(int64(len(sent)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Frame("application/json", sent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
