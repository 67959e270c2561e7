package storage

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var testRecordID = recordID{1, 2, 3, 4, 5, 6, 7, 8}

func encodeRecord(t testing.TB, first uint64, l *raft.Log) []byte {
	t.Helper()
	var b bytes.Buffer
	codec := &recordCodec{id: testRecordID, first: first}
	if err := codec.Encode(l, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sampleLogs() map[string]raft.Log {
	return map[string]raft.Log{
		"zero":    {},
		"command": {Index: 7, Term: 3, Data: []byte("hello")},
		"full": {
			Index: 1<<63 + 5, Term: 1 << 40, Type: raft.LogConfiguration, Data: []byte{0, 1, 2},
			Extensions: []byte("ext"), AppendedAt: time.Unix(1700000000, 12345),
		},
		"extensions only": {Index: 1, Extensions: []byte{9}},
	}
}

func TestRecordDecodesToWhatWasEncoded(t *testing.T) {
	for name, want := range sampleLogs() {
		t.Run(name, func(t *testing.T) {
			var got raft.Log
			codec := &recordCodec{id: testRecordID}
			if err := codec.Decode(encodeRecord(t, want.Index, &want), &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		})
	}
}

// The layout is on disks; see codecID before changing it.
func TestRecordHasGoldenBytes(t *testing.T) {
	full := sampleLogs()["full"]
	got := hex.EncodeToString(encodeRecord(t, 4, &full))
	want, err := os.ReadFile("testdata/record.hex")
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(want)) {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestRecordDetectsEveryFlipAndTruncation(t *testing.T) {
	full := sampleLogs()["full"]
	record := encodeRecord(t, 4, &full)
	for i := range record {
		for bit := range 8 {
			damaged := bytes.Clone(record)
			damaged[i] ^= 1 << bit
			if err := decodeRecord(damaged, testRecordID, new(raft.Log)); !errors.Is(err, errRecord) {
				t.Fatalf("flip of bit %d of byte %d: got %v", bit, i, err)
			}
		}
		if err := decodeRecord(record[:i], testRecordID, new(raft.Log)); !errors.Is(err, errRecord) {
			t.Fatalf("cut at %d: got %v", i, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, l := range sampleLogs() {
		f.Add(encodeRecord(f, 1, &l), l.Index, l.Data, l.Extensions)
	}
	f.Fuzz(func(t *testing.T, raw []byte, index uint64, data, extensions []byte) {
		var l raft.Log
		if decodeRecord(raw, testRecordID, &l) == nil {
			h, _ := parseRecordHeader(raw, testRecordID)
			if again := encodeRecord(t, h.first, &l); !bytes.Equal(again, raw) {
				t.Fatalf("got %x, want %x", again, raw)
			}
		}
		want := raft.Log{Index: index, Term: index ^ 5, Data: nonEmpty(data), Extensions: nonEmpty(extensions)}
		if err := decodeRecord(encodeRecord(t, index, &want), testRecordID, &l); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(l, want) {
			t.Fatalf("got %+v, want %+v", l, want)
		}
	})
}
