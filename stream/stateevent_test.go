package stream

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestEventsShowWhereTheirAppendEnds(t *testing.T) {
	end := Offset{Incarnation: 3, Pos: 99}
	const o = `"0000000000000003_0000000000000099"`
	for name, tt := range map[string]struct{ body, want string }{
		"change":                    {`{"type":"user","key":"1","value":{"headers":{"operation":"x"}},"headers":{"operation":"insert"}}`, `{"type":"user","key":"1","value":{"headers":{"operation":"x"}},"headers":{"operation":"insert","offset":` + o + `}},`},
		"control":                   {`{"headers":{"control":"reset"}}`, `{"headers":{"control":"reset","offset":` + o + `}},`},
		"two of one append":         {`[{"headers":{"operation":"a"}}, 7, {"headers":{"control":"b"}}]`, `{"headers":{"operation":"a","offset":` + o + `}},7,{"headers":{"control":"b","offset":` + o + `}},`},
		"an offset of its own":      {`{"headers":{"offset":"mine","control":"reset"},"x":1}`, `{"headers":{"offset":` + o + `,"control":"reset"},"x":1},`},
		"that is no text":           {`{"headers":{"control":"reset","offset" : null }}`, `{"headers":{"control":"reset","offset" : ` + o + ` }},`},
		"an object for offset":      {`{"headers":{"offset":{"a":[1]},"control":"reset"}}`, `{"headers":{"offset":` + o + `,"control":"reset"}},`},
		"spaces and numbers stay":   {"{ \"headers\" :\n { \"operation\" : \"x\" } , \"n\":1.0000000000000000000001 }", "{ \"headers\" :\n { \"operation\" : \"x\",\"offset\":" + o + " } , \"n\":1.0000000000000000000001 },"},
		"escaped keys":              {`{"h\u0065aders":{"op\u0065ration":"x","\u006fffset":1}}`, `{"h\u0065aders":{"op\u0065ration":"x","\u006fffset":` + o + `}},`},
		"the last of two headers":   {`{"headers":{"operation":"a"},"headers":{"control":"b"}}`, `{"headers":{"operation":"a"},"headers":{"control":"b","offset":` + o + `}},`},
		"the last is no object":     {`{"headers":{"operation":"a"},"headers":1}`, ""},
		"the last is no text":       {`{"headers":{"operation":"a","operation":1}}`, ""},
		"no headers":                {`{"operation":"insert"}`, ""},
		"headers of another kind":   {`{"headers":{"accept":"*"}}`, ""},
		"empty headers":             {`{"headers":{}}`, ""},
		"headers as an array":       {`{"headers":["operation","control"]}`, ""},
		"an operation of no text":   {`{"headers":{"operation":true,"control":null}}`, ""},
		"deeper":                    {`{"value":{"headers":{"operation":"insert"}}}`, ""},
		"in an array":               {`[[{"headers":{"operation":"insert"}}]]`, ""},
		"a longer key":              {`{"headers2":{"operation":"x"},"headers":{"operations":"x"}}`, ""},
		"a quote in a key":          {`{"headers\"":{"operation":"x"}}`, ""},
		"text":                      {`"{\"headers\":{\"operation\":\"x\"}}"`, ""},
		"an empty object":           {`{}`, ""},
		"a number":                  {`-1e9`, ""},
		"an operation that is \"\"": {`{"headers":{"operation":""}}`, `{"headers":{"operation":"","offset":` + o + `}},`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Frame("application/json", []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			before := string(p.Data)
			got := string(AppendStateEvents([]byte("before"), p.Data, end))
			want := tt.want
			if want == "" {
				want = before
			}
			if got != "before"+want {
				t.Fatalf("got  %s\nwant before%s", got, want)
			}
			if string(p.Data) != before {
				t.Fatal("the stored bytes have changed")
			}
		})
	}
}

func TestStateEventsCostOnlyTheirRoom(t *testing.T) {
	p, err := Frame("application/json", []byte(`[{"headers":{"operation":"insert"}},{"a":[1,2]},{"headers":{"control":"reset","offset":"x"}}]`))
	if err != nil {
		t.Fatal(err)
	}
	room := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { AppendStateEvents(room, p.Data, Offset{1, 2}) }); n != 0 {
		t.Fatalf("got %v allocations, want none", n)
	}
}

// FuzzStateEvents compares with what a decoder of JSON makes of the same messages,
// as the reference server does.
func FuzzStateEvents(f *testing.F) {
	for _, body := range []string{`{"headers":{"operation":"x"}}`, `[1,{"headers":{"control":"x","offset":{}}},"a"]`, `{"headers":{"operation":"x"},"headers":null}`,
		`{"h\u0065aders":{"\u006fffset":[],"control":"\""}}`, `{ "a" : [ { } ] , "headers" : { "operation" : "" , "b" : 1 } }`} {
		f.Add([]byte(body))
	}
	end := Offset{Incarnation: 7, Pos: 8}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Frame("application/json", body)
		if err != nil || p.Empty() {
			return
		}
		got := AppendStateEvents(nil, p.Data, end)
		if g, w := messagesOf(t, got), messagesOf(t, p.Data); !reflect.DeepEqual(g, enriched(w, end)) {
			t.Fatalf("got %s of %s", got, p.Data)
		}
	})
}

func messagesOf(t *testing.T, data []byte) (messages []any) {
	d := json.NewDecoder(strings.NewReader("[" + strings.TrimSuffix(string(data), ",") + "]"))
	d.UseNumber()
	if err := d.Decode(&messages); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return messages
}

func enriched(messages []any, end Offset) []any {
	for _, m := range messages {
		object, _ := m.(map[string]any)
		headers, _ := object["headers"].(map[string]any)
		_, operation := headers["operation"].(string)
		_, control := headers["control"].(string)
		if operation || control {
			headers["offset"] = end.String()
		}
	}
	return messages
}
