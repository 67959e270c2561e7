package stream

import (
	"bytes"
	"reflect"
	"testing"
)

func encodeRecord(appends ...StoredAppend) []byte {
	b := AppendRecordHeader(nil, appends)
	for _, a := range appends {
		b = append(b, a.Data...)
	}
	return b
}

func TestRecordBytesAreGolden(t *testing.T) {
	one := encodeRecord(StoredAppend{Data: []byte("hello"), At: 1896091200250})
	many := encodeRecord(
		StoredAppend{Data: []byte("1,{},"), Messages: []uint32{2, 3}, At: 1000},
		StoredAppend{Data: append(bytes.Repeat([]byte("x"), 299), ','), Messages: []uint32{300}, At: 1000},
		StoredAppend{Data: []byte("2,"), Messages: []uint32{2}, At: 1007})
	golden(t, "records.golden", []string{"one", "many"}, map[string][]byte{"one": one, "many": many})
}

func TestRecordOfAnotherVersionIsAnError(t *testing.T) {
	b := encodeRecord(StoredAppend{Data: []byte("x")})
	b[0]++
	if _, err := ParseRecord(0, b); err == nil {
		t.Fatal("a record of a later version was read")
	}
}

func TestRecordRefusesBytesItDidNotWrite(t *testing.T) {
	whole := encodeRecord(StoredAppend{Data: []byte("1,"), Messages: []uint32{2}, At: 5}, StoredAppend{Data: []byte("22,"), Messages: []uint32{3}, At: 6})
	for n := range whole {
		if _, err := ParseRecord(0, whole[:n:n]); err == nil {
			t.Fatalf("a cut after %d bytes is not noticed", n)
		}
	}
	if _, err := ParseRecord(0, append(bytes.Clone(whole), 0)); err == nil {
		t.Fatal("a byte too many is not noticed")
	}
	// Lengths whose sum wraps around to the right one.
	wraps := []byte{recordVersion, 2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 4, 0, 0, 'a', 'b', 'c'}
	if r, err := ParseRecord(0, wraps); err == nil {
		t.Fatalf("lengths beyond the data were accepted: %+v", r)
	}
}

// FuzzRecord compares a record with the list of appends that it holds.
func FuzzRecord(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint64(0), 10)
	f.Add([]byte{200, 1, 1, 50}, uint64(1<<40), 1)
	f.Add([]byte{5}, uint64(7), 0)
	f.Add([]byte{9, 9, 9, 9}, uint64(7), -3)
	f.Fuzz(func(t *testing.T, sizes []byte, start uint64, limit int) {
		if len(sizes) == 0 || len(sizes) > 40 {
			return
		}
		start %= offsetMax
		appends := make([]StoredAppend, len(sizes))
		var all []byte
		for i, size := range sizes {
			n := int(size) + 1
			a := StoredAppend{Data: bytes.Repeat([]byte{byte('a' + i)}, n), At: Time(i * int(size))}
			if n > 1 && size%2 == 0 {
				a.Messages = []uint32{1, uint32(n - 1)}
			}
			appends[i], all = a, append(all, a.Data...)
		}
		r, err := ParseRecord(start, encodeRecord(appends...))
		if err != nil || r.Start != start || r.End() != start+uint64(len(all)) || !bytes.Equal(r.Data, all) {
			t.Fatalf("%+v, %v", r, err)
		}
		begins, ends := map[uint64]int{}, map[uint64]bool{}
		pos := start
		for i, a := range appends {
			begins[pos] = i
			pos += uint64(len(a.Data))
			ends[pos] = true
		}
		i := 0
		r.Each(func(from, to uint64, at Time) bool {
			if begins[from] != i || to != from+uint64(len(appends[i].Data)) || at != appends[i].At {
				t.Fatalf("append %d is at %d to %d, time %d", i, from, to, at)
			}
			i++
			return true
		})
		if i != len(appends) {
			t.Fatalf("%d appends, want %d", i, len(appends))
		}
		for p := start; p <= r.End()+1; p++ {
			if got := r.EndsAt(p); got != ends[p] {
				t.Fatalf("EndsAt(%d) = %v, want %v", p-start, got, ends[p])
			}
			a, ok := r.AppendAt(p)
			i, want := begins[p]
			if ok != want || ok && !reflect.DeepEqual(a, appends[i]) {
				t.Fatalf("AppendAt(%d) = %+v, %v; want %v", p-start, a, ok, want)
			}
			if want {
				if got, end := r.Cut(p, limit), modelCut(appends[i:], p, limit); got != end {
					t.Fatalf("Cut(%d, %d) = %d, want %d", p-start, limit, got-start, end-start)
				}
				if got := r.Slice(p, r.End()); !bytes.Equal(got, all[p-start:]) {
					t.Fatalf("Slice(%d) = %q", p-start, got)
				}
			}
		}
	})
}

// modelCut: whole appends while they fit, but at least one.
func modelCut(appends []StoredAppend, pos uint64, limit int) uint64 {
	used := 0
	for i, a := range appends {
		if i > 0 && used+len(a.Data) > limit {
			break
		}
		used += len(a.Data)
	}
	return pos + uint64(used)
}

func FuzzParseRecord(f *testing.F) {
	f.Add(encodeRecord(StoredAppend{Data: []byte("1,"), Messages: []uint32{2}, At: 5}, StoredAppend{Data: []byte("22,"), Messages: []uint32{3}, At: 6}))
	f.Add([]byte{recordVersion, 2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 4, 0, 0, 'a', 'b', 'c'})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(100, b)
		if err != nil {
			return
		}
		end := uint64(100)
		r.Each(func(from, to uint64, _ Time) bool {
			if from != end || to < from {
				t.Fatalf("%x: append from %d to %d after %d", b, from, to, end)
			}
			end = to
			r.AppendAt(from)
			r.EndsAt(to)
			r.Cut(from, 10)
			r.Slice(from, to)
			return true
		})
		if end != r.End() {
			t.Fatalf("%x: the appends end at %d, the record at %d", b, end, r.End())
		}
	})
}
