package stream

import (
	"errors"
	"strings"
	"testing"
)

func TestContentTypes(t *testing.T) {
	tests := map[string]struct {
		in         string
		json, text bool
	}{
		"json":             {"application/json", true, true},
		"json, charset":    {"application/json; charset=utf-8", true, true},
		"json, spelling":   {"Application/JSON;charset=UTF-8", true, true},
		"ndjson":           {"application/ndjson", false, false},
		"json suffix":      {"application/ld+json", false, false},
		"json lookalike":   {"application/jsonx", false, false},
		"text":             {"text/plain", false, true},
		"text, upper case": {"TEXT/html; q=1", false, true},
		"textual":          {"textual/plain", false, false},
		"binary":           {"application/octet-stream", false, false},
		"odd token":        {"x-a.b+c/!#$%&'*+-.^_`|~", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseContentType(tt.in)
			if err != nil || string(got) != tt.in || got.JSON() != tt.json || got.Text() != tt.text {
				t.Fatalf("%q = %q, %v, JSON %v, text %v; want JSON %v, text %v", tt.in, got, err, got.JSON(), got.Text(), tt.json, tt.text)
			}
		})
	}
}

func TestContentTypesThatAreRefused(t *testing.T) {
	for name, in := range map[string]string{
		"no slash": "json", "no type": "/json", "no subtype": "text/", "two slashes": "a/b/c", "space": "text/pl ain",
		"line break": "text/plain;\r\nX: y", "comma": "text/plain, text/html", "only parameters": "; charset=utf-8",
		"too long": "text/" + strings.Repeat("x", 300), "not ASCII": "téxt/plain",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseContentType(in); !errors.Is(err, &Rejection{Code: Malformed}) {
				t.Fatalf("%q = %q, %v; want Malformed", in, got, err)
			}
		})
	}
	for _, blank := range []string{"", "  ", "\t"} {
		if got, err := ParseContentType(blank); got != "" || err != nil {
			t.Fatalf("%q = %q, %v; want none", blank, got, err)
		}
	}
}

func TestSameContentTypeIgnoresCaseAndParameters(t *testing.T) {
	tests := map[string]struct {
		a, b ContentType
		same bool
	}{
		"equal":      {"text/plain", "text/plain", true},
		"case":       {"text/plain", "Text/PLAIN", true},
		"parameters": {"text/plain; charset=utf-8", "text/plain;charset=latin1", true},
		"none":       {"application/json", "application/json; charset=utf-8", true},
		"subtype":    {"text/plain", "text/html", false},
		"prefix":     {"text/plain", "text/plainer", false},
		"empty":      {"text/plain", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.a.Same(tt.b); got != tt.same || tt.b.Same(tt.a) != got {
				t.Fatalf("%q and %q: same %v, want %v both ways", tt.a, tt.b, got, tt.same)
			}
		})
	}
}

func TestProducerHeaders(t *testing.T) {
	h := func(s string) *string { return &s }
	long := strings.Repeat("x", producerIDBytesMax+1)
	tests := map[string]struct {
		id, epoch, seq *string
		want           *Producer
		ok             bool
	}{
		"none":                 {nil, nil, nil, nil, true},
		"all":                  {h("p"), h("0"), h("0"), &Producer{"p", 0, 0}, true},
		"largest":              {h("p"), h("9007199254740991"), h("9007199254740991"), &Producer{"p", IntegerMax, IntegerMax}, true},
		"leading zeros":        {h("p"), h("007"), h("00"), &Producer{"p", 7, 0}, true}, // ^[0-9]+$
		"id only":              {h("p"), nil, nil, nil, false},
		"no seq":               {h("p"), h("0"), nil, nil, false},
		"no id":                {nil, h("0"), h("0"), nil, false},
		"empty id":             {h(""), h("0"), h("0"), nil, false},
		"long id":              {&long, h("0"), h("0"), nil, false},
		"empty epoch":          {h("p"), h(""), h("0"), nil, false},
		"negative epoch":       {h("p"), h("-1"), h("0"), nil, false},
		"plus":                 {h("p"), h("+1"), h("0"), nil, false},
		"decimal":              {h("p"), h("1.0"), h("0"), nil, false},
		"space":                {h("p"), h("1 "), h("0"), nil, false},
		"words":                {h("p"), h("0"), h("abc"), nil, false},
		"one above 2^53-1":     {h("p"), h("9007199254740992"), h("0"), nil, false},
		"seq above 2^53-1":     {h("p"), h("0"), h("9007199254740992"), nil, false},
		"beyond 64 bits":       {h("p"), h("0"), h("99999999999999999999"), nil, false},
		"wraps to a small one": {h("p"), h("0"), h("18446744073709551617"), nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseProducer(tt.id, tt.epoch, tt.seq)
			if !tt.ok {
				if !errors.Is(err, &Rejection{Code: Malformed}) {
					t.Fatalf("got %v, %v; want Malformed", got, err)
				}
				return
			}
			if err != nil || (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
				t.Fatalf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestEveryRejectionSaysSomething(t *testing.T) {
	for code := Malformed; code < codeEnd; code++ {
		if text := (&Rejection{Code: code}).Error(); len(text) < 10 {
			t.Errorf("code %d says %q", code, text)
		}
	}
	if text := (&Rejection{Code: 250}).Error(); text == "" {
		t.Error("a code of a later version says nothing")
	}
}
