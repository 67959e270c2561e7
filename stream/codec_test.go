package stream

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew; only for a new version of an encoding")

// golden compares lines of "name hex" with a file. Bytes that are on disks and
// in logs already must never change.
func golden(t *testing.T, file string, names []string, encoded map[string][]byte) {
	t.Helper()
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s %x\n", name, encoded[name])
	}
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Fatalf("the encoding has changed:\n%s\nwant\n%s", b.String(), want)
	}
}

var sampleOffset = Offset{7, 300}

// samples are commands with every field set, and with none.
func sampleCommands(t testing.TB) (names []string, commands map[string]Command) {
	names = []string{"create-bare", "create-full", "create-fork", "create-fork-raw", "create-fork-tail", "create-json",
		"append-bare", "append-full", "append-json", "append-if-match", "close", "delete", "touch", "expire", "open-session", "mark", "control",
		"create-retention", "trim", "trim-to"}
	return names, map[string]Command{
		"create-bare":      Create{Name: "a"},
		"create-full":      Create{Name: "a/b", ContentType: "text/plain", Lifetime: ttl(t, 3600), Closed: true, Body: Payload{Data: []byte("hi")}},
		"create-fork":      Create{Name: "f", Lifetime: expiresAt(t, 1896091200250), Fork: &Fork{Source: "a//b", Offset: &sampleOffset, SubOffset: 3}},
		"create-fork-raw":  Create{Name: "f", Body: Payload{Data: []byte("[1, 2]"), Raw: true}, Fork: &Fork{Source: "a", Offset: &Offset{}}},
		"create-fork-tail": Create{Name: "f", Fork: &Fork{Source: "a"}},
		"create-json":      Create{Name: "j", ContentType: "application/json", Body: Payload{Data: []byte("1,{},"), Messages: []uint32{2, 3}}},
		"append-bare":      Append{Name: "a", ContentType: "text/plain", Body: Payload{Data: []byte("x")}},
		"append-full": Append{Name: "a", ContentType: "text/plain", Body: Payload{Data: []byte("x\x00\xff")}, Seq: "00\xff1",
			Producer: &Producer{"p-1", IntegerMax, 128}, Close: true},
		"append-json":      Append{Name: "j", ContentType: "application/json", Body: Payload{Data: []byte(`"é",` + strings.Repeat("1", 200) + ","), Messages: []uint32{5, 201}}},
		"append-if-match":  Append{Name: "a", ContentType: "text/plain", Body: Payload{Data: []byte("x")}, Seq: "1", Producer: &Producer{"p", 1, 2}, IfMatch: &sampleOffset},
		"close":            Append{Name: "a", Close: true},
		"delete":           Delete{"a%2Fb"},
		"touch":            Touch{"a"},
		"expire":           Expire{"a"},
		"open-session":     OpenSession{},
		"mark":             Mark{From: "s\x00\xff", Bytes: 1 << 24},
		"create-retention": Create{Name: "r", Lifetime: ttl(t, 60), Retention: Retention{Bytes: 1 << 30, Age: 86400}},
		"trim":             Trim{Name: "r"},
		"trim-to":          Trim{Name: "r", To: &sampleOffset},
		"control":          Control{Body: []byte("\x01{}")},
	}
}

func TestCommandBytesAreGolden(t *testing.T) {
	names, commands := sampleCommands(t)
	encoded := map[string][]byte{}
	for name, c := range commands {
		encoded[name] = AppendCommand(nil, c)
		got, err := DecodeCommand(encoded[name])
		if err != nil || !reflect.DeepEqual(tidy(got), tidy(c)) {
			t.Fatalf("%s: %+v, %v; want %+v", name, got, err, c)
		}
	}
	golden(t, "commands.golden", names, encoded)
}

// tidy makes empty and nil bytes the same.
func tidy(c Command) Command {
	switch v := c.(type) {
	case Create:
		if len(v.Body.Data) == 0 {
			v.Body.Data = nil
		}
		return v
	case Append:
		if len(v.Body.Data) == 0 {
			v.Body.Data = nil
		}
		return v
	}
	return c
}

func TestEnvelopeBytesAreGolden(t *testing.T) {
	e := NewEnvelope([]byte{})
	e = AppendToEnvelope(e, Touch{"a"})
	e = AppendToEnvelope(e, Append{Name: "b", ContentType: "text/plain", Body: Payload{Data: []byte("hello")}})
	Address(e, 5, 6, 4)
	if err := Stamp(e, 1896091200250); err != nil {
		t.Fatal(err)
	}
	if err := Limit(e, Limits{StreamBytes: 7, TotalBytes: 8}); err != nil {
		t.Fatal(err)
	}
	h, rest, err := ParseHeader(e)
	if want := (Header{Level: LevelOldest, At: 1896091200250, Session: 5, Sequence: 6, Floor: 4, Limits: Limits{7, 8}}); err != nil || h != want {
		t.Fatalf("header %+v, %v; want %+v", h, err, want)
	}
	var got []Command
	for len(rest) > 0 {
		var c Command
		if c, rest, err = NextCommand(rest); err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	want := []Command{Touch{"a"}, Append{Name: "b", ContentType: "text/plain", Body: Payload{Data: []byte("hello")}}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("commands %+v, want %+v", got, want)
	}
	golden(t, "envelope.golden", []string{"two-commands", "empty"}, map[string][]byte{"two-commands": e, "empty": NewEnvelope(nil)})
}

func TestEnvelopesOfOtherVersionsAreRefusedWithASentence(t *testing.T) {
	e := AppendToEnvelope(NewEnvelope(nil), Delete{"a"})
	e[0] = Level + 1
	if _, _, err := ParseHeader(e); err == nil || !strings.Contains(err.Error(), "upgrade") {
		t.Fatalf("a newer version: %v; want a sentence that says what to do", err)
	}
	if err := Stamp(e, 1); err == nil {
		t.Fatal("an envelope of another version was stamped")
	}
	for n := range envelopeHeaderLen {
		if _, _, err := ParseHeader(e[:n]); err == nil {
			t.Fatalf("a header of %d bytes was read", n)
		}
	}
	if _, err := DecodeCommand([]byte{200, 1, 'a'}); err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Fatalf("a command of a later version: %v", err)
	}
}

func TestUnknownFlagsAreRefused(t *testing.T) {
	create := AppendCommand(nil, Create{Name: "a"})
	create[3] |= 0x80
	if c, err := DecodeCommand(create); err == nil {
		t.Fatalf("a flag of a later version was ignored: %+v", c)
	}
	state := AppendState(nil, &State{Incarnation: 1})
	state[1] |= 0x80
	if s, err := DecodeState(state); err == nil {
		t.Fatalf("a flag of a later version was ignored: %+v", s)
	}
}

func sampleResults() []Result {
	return []Result{
		{Outcome: Outcome{Next: sampleOffset, Created: true, ContentType: "application/json"}},
		{Outcome: Outcome{Next: Offset{1, 0}, Closed: true, Duplicate: true, Producer: &ProducerState{3, IntegerMax}}},
		{Outcome: Outcome{Session: 9}},
		{Outcome: Outcome{Answer: []byte("\x01{}")}},
		{Rejection: &Rejection{Code: NotFound}},
		{Rejection: &Rejection{Code: Closed, Next: Offset{7, 300}}},
		{Rejection: &Rejection{Code: ProducerFenced, Epoch: 1 << 40}},
		{Rejection: &Rejection{Code: ProducerGap, Expected: 3, Received: 900}},
		{Rejection: &Rejection{Code: ConfigMismatch, Detail: "another content type"}},
		{},
	}
}

func TestResultBytesAreGolden(t *testing.T) {
	want := sampleResults()
	b := AppendResults(nil, want)
	got, err := DecodeResults(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	golden(t, "results.golden", []string{"results"}, map[string][]byte{"results": b})
}

func sampleStates(t testing.TB) (names []string, states map[string]State) {
	return []string{"bare", "full", "fork", "trimmed", "pinned"}, map[string]State{
		"bare": {Incarnation: 1, ContentType: "text/plain"},
		"full": {Incarnation: 300, ContentType: "application/json", Lifetime: ttl(t, 60), CreatedAt: 1896091200250, Deadline: 1896091260250,
			Indexed: 1896091255250, Pos: 70000, Seq: "b\xff", Closed: true, ClosedBy: &Producer{"p", 2, 9}, Refs: 3, Deleted: true},
		"trimmed": {Incarnation: 1, ContentType: "text/plain", Pos: 1000, Retention: Retention{Bytes: 300, Age: 60}, Horizon: 700, Freed: 650, TrimAt: 1896091255250},
		"pinned":  {Incarnation: 1, ContentType: "text/plain", Pos: 1000, Refs: 1, Horizon: 700, Freed: 699, Pinned: Range{100, 300}},
		"fork": {Incarnation: 9, ContentType: "text/plain", Lifetime: expiresAt(t, -1), Base: 20, Pos: 30,
			Spans: []Span{{1, 0, 10}, {4, 10, 20}}, Origin: &Origin{Source: "a//b", SourceIncarnation: 4, Offset: Offset{4, 20}, SubOffset: 2, InheritsLifetime: true}},
	}
}

func TestStateBytesAreGolden(t *testing.T) {
	names, states := sampleStates(t)
	encoded := map[string][]byte{}
	for name, s := range states {
		encoded[name] = AppendState(nil, &s)
		if got, err := DecodeState(encoded[name]); err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%s: %+v, %v; want %+v", name, got, err, s)
		}
	}
	names = append(names, "producer", "session")
	encoded["producer"] = AppendProducerState(nil, ProducerState{3, IntegerMax})
	if p, err := DecodeProducerState(encoded["producer"]); err != nil || p != (ProducerState{3, IntegerMax}) {
		t.Fatalf("producer: %v, %v", p, err)
	}
	encoded["session"] = AppendSession(nil, Session{UsedAt: 1896091200250, Floor: 300})
	if s, err := DecodeSession(encoded["session"]); err != nil || s != (Session{1896091200250, 300}) {
		t.Fatalf("session: %v, %v", s, err)
	}
	names = append(names, "outcome")
	before, results := Session{UsedAt: 1896091200250, Floor: 300}, sampleResults()
	encoded["outcome"] = AppendOutcome(nil, before, 302, results)
	if s, sequence, got, err := DecodeOutcome(encoded["outcome"]); err != nil || s != before || sequence != 302 || !reflect.DeepEqual(got, results) {
		t.Fatalf("outcome: %v, %d, %v, %v", s, sequence, got, err)
	}
	golden(t, "states.golden", names, encoded)
}

func TestStateKeepsNothingOfItsBytes(t *testing.T) {
	_, states := sampleStates(t)
	for name, want := range states {
		b := AppendState(nil, &want)
		got, err := DecodeState(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] = 0xff
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s changed with the buffer it was read from: %+v", name, got)
		}
	}
}

// Every cut of every encoding is an error, and every other byte is decoded or
// refused without panic.
func TestCutEncodingsAreErrors(t *testing.T) {
	decoders := map[string]func([]byte) error{
		"command":  func(b []byte) error { _, err := DecodeCommand(b); return err },
		"results":  func(b []byte) error { _, err := DecodeResults(b); return err },
		"state":    func(b []byte) error { _, err := DecodeState(b); return err },
		"session":  func(b []byte) error { _, err := DecodeSession(b); return err },
		"producer": func(b []byte) error { _, err := DecodeProducerState(b); return err },
		"outcome":  func(b []byte) error { _, _, _, err := DecodeOutcome(b); return err },
	}
	whole := map[string][][]byte{"results": {AppendResults(nil, sampleResults())}, "session": {AppendSession(nil, Session{9999, 77777})},
		"producer": {AppendProducerState(nil, ProducerState{1 << 30, 1 << 30})},
		"outcome":  {AppendOutcome(nil, Session{9999, 77777}, 77780, sampleResults())}}
	_, commands := sampleCommands(t)
	for _, c := range commands {
		whole["command"] = append(whole["command"], AppendCommand(nil, c))
	}
	_, states := sampleStates(t)
	for _, s := range states {
		whole["state"] = append(whole["state"], AppendState(nil, &s))
	}
	for name, decode := range decoders {
		for _, b := range whole[name] {
			if err := decode(b); err != nil {
				t.Fatalf("%s %x: %v", name, b, err)
			}
			if err := decode(append(bytes.Clone(b), 0)); err == nil {
				t.Fatalf("%s %x: a byte too many is not noticed", name, b)
			}
			for n := range b {
				if err := decode(b[:n:n]); err == nil {
					t.Fatalf("%s %x: a cut after %d bytes is not noticed", name, b, n)
				}
				for _, c := range []byte{0x00, 0x7f, 0x80, 0xff} {
					damaged := bytes.Clone(b)
					damaged[n] = c
					_ = decode(damaged) // must not panic
				}
			}
		}
	}
}

// canonical says that what decodes encodes to bytes that decode to the same.
func FuzzDecodeCommand(f *testing.F) {
	_, commands := sampleCommands(f)
	for _, c := range commands {
		f.Add(AppendCommand(nil, c))
	}
	f.Add([]byte{1, 0, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		again, err := DecodeCommand(AppendCommand(nil, c))
		if err != nil || !reflect.DeepEqual(tidy(again), tidy(c)) {
			t.Fatalf("%x is %+v, which encodes to %+v, %v", b, c, again, err)
		}
		checkBody(t, c)
	})
}

// checkBody: the table of messages covers the data exactly, whoever sent it.
func checkBody(t *testing.T, c Command) {
	var p Payload
	switch c := c.(type) {
	case Create:
		p = c.Body
	case Append:
		p = c.Body
	}
	var sum uint64
	for _, n := range p.Messages {
		sum += uint64(n)
	}
	if p.Messages != nil && sum != uint64(len(p.Data)) {
		t.Fatalf("messages %v of %d bytes of data", p.Messages, len(p.Data))
	}
}

func FuzzCommandRoundTrip(f *testing.F) {
	f.Add("a", "text/plain", []byte("x"), "seq", "p", uint64(1), uint64(2), "src", uint64(3), uint64(4), uint8(0xff))
	f.Add("", "", []byte{}, "", "", uint64(0), uint64(0), "", uint64(0), uint64(0), uint8(0))
	f.Fuzz(func(t *testing.T, name, ct string, data []byte, seq, id string, a, b uint64, src string, inc, pos uint64, bits uint8) {
		body := Payload{Data: data, Raw: bits&1 != 0}
		if bits&2 != 0 && len(data) > 1 {
			body.Messages = []uint32{1, uint32(len(data) - 1)}
		}
		appended := Append{Name: Name(name), ContentType: ContentType(ct), Seq: seq, Close: bits&4 != 0, Body: Payload{Data: data, Messages: body.Messages}}
		if bits&8 != 0 {
			appended.Producer = &Producer{id, a, b}
		}
		if bits&32 != 0 {
			appended.IfMatch = &Offset{inc, pos}
		}
		create := Create{Name: Name(name), ContentType: ContentType(ct), Closed: bits&4 != 0, Body: body}
		if bits&16 != 0 {
			create.Fork = &Fork{Source: Name(src), SubOffset: a}
			if bits&32 != 0 {
				create.Fork.Offset = &Offset{inc, pos}
			}
		}
		if bits&8 != 0 {
			create.Retention = Retention{a, b}
		}
		switch bits >> 6 {
		case 1:
			create.Lifetime = Lifetime{kind: lifetimeTTL, ttl: b}
		case 2:
			create.Lifetime = Lifetime{kind: lifetimeExpiresAt, at: Time(b), text: seq}
		}
		for _, c := range []Command{appended, create, Delete{Name(name)}, Touch{Name(name)}, Expire{Name(name)}, Mark{name, b}, Trim{Name(name), create.to()}} {
			prefix := []byte("before")
			encoded := AppendCommand(prefix, c)
			if !bytes.HasPrefix(encoded, prefix) {
				t.Fatal("AppendCommand does not append")
			}
			got, err := DecodeCommand(encoded[len(prefix):])
			if err != nil || !reflect.DeepEqual(tidy(got), tidy(c)) {
				t.Fatalf("got %+v, %v; want %+v", got, err, c)
			}
		}
	})
}

// to makes a command with an offset, or without, of one that has it.
func (c *Create) to() *Offset {
	if c.Fork == nil {
		return nil
	}
	return c.Fork.Offset
}

func FuzzDecodeResults(f *testing.F) {
	f.Add(AppendResults(nil, sampleResults()))
	f.Add([]byte{1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		results, err := DecodeResults(b)
		if err != nil {
			return
		}
		again, err := DecodeResults(AppendResults(nil, results))
		if err != nil || !reflect.DeepEqual(again, results) {
			t.Fatalf("%x is %+v, which encodes to %+v, %v", b, results, again, err)
		}
		for _, r := range results {
			if r.Rejection != nil {
				_ = r.Rejection.Error()
			}
		}
	})
}

func FuzzDecodeState(f *testing.F) {
	_, states := sampleStates(f)
	for _, s := range states {
		f.Add(AppendState(nil, &s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeState(b)
		if err != nil {
			return
		}
		again, err := DecodeState(AppendState(nil, &s))
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%x is %+v, which encodes to %+v, %v", b, s, again, err)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add(AppendToEnvelope(AppendToEnvelope(NewEnvelope(nil), Delete{"a"}), Touch{"b"}))
	f.Add(binary.BigEndian.AppendUint32(NewEnvelope(nil), 1<<31))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, rest, err := ParseHeader(b)
		for err == nil && len(rest) > 0 {
			before := len(rest)
			if _, rest, err = NextCommand(rest); err == nil && len(rest) >= before {
				t.Fatalf("%x: no progress", b)
			}
		}
	})
}

func TestOnlyWhatBringsDataGrows(t *testing.T) {
	want := map[kind]bool{kindCreate: true, kindAppend: true, kindControl: true}
	_, commands := sampleCommands(t)
	seen := map[kind]bool{}
	for name, c := range commands {
		seen[c.kind()] = true
		if got := Grows(c); got != want[c.kind()] {
			t.Errorf("%s: got %v", name, got)
		}
		alone := AppendToEnvelope(NewEnvelope(nil), c)
		if got := EnvelopeGrows(alone); got != want[c.kind()] {
			t.Errorf("%s in an envelope: got %v", name, got)
		}
		behind := AppendToEnvelope(AppendToEnvelope(NewEnvelope(nil), Delete{Name: "s"}), c)
		if got := EnvelopeGrows(behind); got != want[c.kind()] {
			t.Errorf("%s behind another: got %v", name, got)
		}
		if !EnvelopeGrows(alone[:len(alone)-1]) || !EnvelopeGrows(append(alone, 0)) {
			t.Errorf("%s cut off or with a byte too many: got false", name)
		}
	}
	if len(seen) < 7 || EnvelopeGrows(NewEnvelope(nil)) || !EnvelopeGrows(nil) {
		t.Fatalf("saw kinds %v", seen)
	}
}

func TestWithoutGrowthKeepsTheRestInOrder(t *testing.T) {
	commands := []Command{Append{Name: "a", ContentType: "text/plain", Body: Payload{Data: []byte("x")}}, Delete{Name: "b"}, Create{Name: "c"}, Touch{Name: "d"}}
	envelope := NewEnvelope(nil)
	for _, c := range commands {
		envelope = AppendToEnvelope(envelope, c)
	}
	Address(envelope, 7, 8, 6)
	before := bytes.Clone(envelope)
	small, places := WithoutGrowth(envelope)
	if !slices.Equal(places, []int{-1, 0, -1, 1}) || !bytes.Equal(envelope, before) {
		t.Fatalf("got places %v", places)
	}
	want := AppendToEnvelope(AppendToEnvelope(NewEnvelope(nil), commands[1]), commands[3])
	Address(want, 7, 8, 6)
	if !bytes.Equal(small, want) || EnvelopeGrows(small) {
		t.Fatalf("got %x, want %x", small, want)
	}
}
