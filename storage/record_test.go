package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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
		"packed":          {Index: 8, Term: 3, Data: packedData()},
		"packed, with extensions": {
			Index: 9, Term: 3, Data: packedData(), Extensions: []byte("ext"), AppendedAt: time.Unix(1700000000, 0),
		},
		"too small to pack": {Index: 10, Term: 3, Data: packedData()[:packLeast-1]},
		"noise":             {Index: 11, Term: 3, Data: noise(packLeast)},
	}
}

// packedData is large enough to be packed, and worth it.
func packedData() []byte { return bytes.Repeat([]byte("to be stored "), packLeast/13+1) }

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

// What a packed record holds is read the same by every later version, however it
// packs.
func TestAPackedRecordOfThisVersionIsRead(t *testing.T) {
	text, err := os.ReadFile("testdata/record_packed.hex")
	if err != nil {
		t.Fatal(err)
	}
	record, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := decodeRecord(record, testRecordID, &got); err != nil {
		t.Fatal(err)
	}
	if want := sampleLogs()["packed, with extensions"]; !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestOnlyWhatIsLargeAndShrinksIsPacked(t *testing.T) {
	for name, want := range map[string]bool{"command": false, "too small to pack": false, "noise": false, "packed": true} {
		l := sampleLogs()[name]
		record := encodeRecord(t, 1, &l)
		h, err := parseRecordHeader(record, testRecordID)
		if err != nil {
			t.Fatal(err)
		}
		if h.packed != want || len(record) < recordLen(&l) != want {
			t.Errorf("%s: packed %v in %d bytes of %d, want %v", name, h.packed, len(record), recordLen(&l), want)
		}
	}
}

// The checksum of such a record is good: it was written so.
func TestPackedDataThatMakesNoSenseIsABadRecord(t *testing.T) {
	for name, stored := range map[string][]byte{
		"empty":           {},
		"no length":       {0xff, 0xff, 0xff},
		"more than fits":  binary.AppendUvarint(nil, recordBytesMax+1),
		"more than there": append(binary.AppendUvarint(nil, 100), 0, 'x'),
	} {
		t.Run(name, func(t *testing.T) {
			l := raft.Log{Index: 1}
			record := append(appendRecordHeader(nil, testRecordID, 1, &l, stored, true), stored...)
			if err := decodeRecord(record, testRecordID, new(raft.Log)); !errors.Is(err, errRecord) {
				t.Fatalf("got %v, want %v", err, errRecord)
			}
		})
	}
}

func TestRecordDetectsEveryFlipAndTruncation(t *testing.T) {
	for _, name := range []string{"full", "packed, with extensions"} {
		t.Run(name, func(t *testing.T) {
			l := sampleLogs()[name]
			testEveryFlip(t, encodeRecord(t, 4, &l))
		})
	}
}

func testEveryFlip(t *testing.T, record []byte) {
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
			again := encodeRecord(t, h.first, &l) // the same, but for how it is packed
			if !h.packed && len(l.Data) < packLeast && !bytes.Equal(again, raw) {
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

// A version that knows no packed records must refuse the log and not take them for
// damage, and may go on with a log that has none.
func TestALogSaysThatItIsPackedBeforeItIs(t *testing.T) {
	for _, kind := range []string{LogWAL, LogBoltDB} {
		t.Run(kind, func(t *testing.T) {
			cfg := LogConfig{Dir: t.TempDir(), Kind: kind}
			format := func() int {
				format, err := readSealedUpTo(vfs.Default, filepath.Join(cfg.Dir, logMetaFile), recordVersion, new(logState))
				if err != nil {
					t.Fatal(err)
				}
				return format
			}
			l := openTestLog(t, cfg)
			store(t, l, 1, 5, 2)
			if got := format(); got != recordVersionPlain {
				t.Fatalf("format %d with nothing packed, want %d", got, recordVersionPlain)
			}
			want := raft.Log{Index: 6, Term: 1, Data: packedData()}
			if err := l.StoreLog(&want); err != nil {
				t.Fatal(err)
			}
			if got := format(); got != recordVersion {
				t.Fatalf("format %d with a packed entry, want %d", got, recordVersion)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openTestLog(t, cfg)
			var got raft.Log
			if err := l.GetLog(6, &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got entry %d of %d bytes, %v", got.Index, len(got.Data), err)
			}
			store(t, l, 7, 8, 2)
			if got := format(); got != recordVersion {
				t.Fatalf("format %d after a restart, want %d", got, recordVersion)
			}
		})
	}
}
