package stream

import (
	"errors"
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
