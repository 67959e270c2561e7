package stream

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAnEnvelopeHasTheHighestLevelOfItsCommands(t *testing.T) {
	e := NewEnvelope(nil)
	if got := EnvelopeLevel(e); got != LevelOldest {
		t.Fatalf("an empty envelope has level %d, want %d", got, LevelOldest)
	}
	names, commands := sampleCommands(t)
	for _, name := range names {
		c := commands[name]
		if l := LevelOf(c); l < LevelOldest || l > Level {
			t.Fatalf("%s is of level %d, and this version has %d to %d", name, l, LevelOldest, Level)
		}
		before := EnvelopeLevel(e)
		e = AppendToEnvelope(e, c)
		if got, want := EnvelopeLevel(e), max(before, LevelOf(c)); got != want {
			t.Fatalf("with %s the envelope has level %d, want %d", name, got, want)
		}
	}
	RaiseLevel(e, 200)
	RaiseLevel(e, LevelOldest)
	if got := EnvelopeLevel(e); got != 200 {
		t.Fatalf("a raised envelope has level %d, want 200", got)
	}
}

// What a newer version has written is named, and what to do is said.
func TestNewerFormatsAreRefusedWithASentence(t *testing.T) {
	state := AppendState(nil, &State{Incarnation: 1})
	record := AppendRecordHeader(nil, []StoredAppend{{}})
	for name, decode := range map[string]func() error{
		"state": func() error {
			state[0] = stateVersion + 1
			_, err := DecodeState(state)
			return err
		},
		"record": func() error {
			record[0] = recordVersion + 1
			_, err := ParseRecord(0, record)
			return err
		},
		"envelope": func() error {
			e := NewEnvelope(nil)
			RaiseLevel(e, Level+1)
			_, _, err := ParseHeader(e)
			return err
		},
		"command": func() error {
			_, err := DecodeCommand([]byte{200, 1, 'a'})
			return err
		},
	} {
		err := decode()
		if err == nil || !strings.Contains(err.Error(), "start the version that wrote it, or upgrade this node") {
			t.Errorf("%s of a newer version: got %v, want a sentence that says what to do", name, err)
		}
	}
	if _, err := ParseRecord(0, nil); !errors.Is(err, errTruncated) {
		t.Errorf("an empty record: got %v, want that it is cut", err)
	}
}

func TestWithoutAboveKeepsWhatALevelUnderstands(t *testing.T) {
	e := NewEnvelope(nil)
	commands := []Command{Touch{Name: "a"}, Delete{Name: "b"}}
	for _, c := range commands {
		e = AppendToEnvelope(e, c)
	}
	newer := append([]byte{0, 0, 0, 3}, 200, 1, 'a') // a command of a later version
	at := len(e)
	e = append(e, newer...)
	e = AppendToEnvelope(e, commands[1])
	RaiseLevel(e, Level+1)
	small, places := WithoutAbove(e, LevelOldest)
	if want := []int{0, 1, -1, 2}; !slices.Equal(places, want) || EnvelopeLevel(small) != LevelOldest {
		t.Fatalf("got places %v and level %d, want %v and %d", places, EnvelopeLevel(small), want, LevelOldest)
	}
	if len(small) != len(e)-len(newer) || !bytes.Equal(small[1:at], e[1:at]) || EnvelopeLevel(e) != Level+1 {
		t.Fatalf("of %x is left %x", e, small)
	}
	if _, places := WithoutAbove(e, LevelOldest-1); slices.Max(places) != -1 {
		t.Fatalf("below the oldest level there is %v", places)
	}
}
