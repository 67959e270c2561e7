package subs

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"mainstem/stream"
)

var update = flag.Bool("update", false, "write the golden files anew; only for a new version of an encoding")

func golden(t *testing.T, file string, lines []string) {
	t.Helper()
	got := strings.Join(lines, "\n") + "\n"
	path := "testdata/" + file
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Fatalf("the encoding has changed:\n%s\nwant\n%s", got, want)
	}
}

func sampleCommands() []Command {
	at := stream.Offset{Incarnation: 7, Pos: 300}
	return []Command{
		Create{ID: "s", Config: Config{Kind: Webhook, Pattern: "a/*", Streams: []stream.Name{"b"}, URL: "https://h/", LeaseTTL: time.Minute, Description: "<d> é"}, Base: "https://x/v1/stream"},
		Create{ID: "p", Config: Config{Kind: PullWake, Streams: []stream.Name{"b"}, WakeStream: "w", LeaseTTL: time.Second}},
		Delete{"s"}, AddStreams{"s", []stream.Name{"a", "b%2Fc"}}, RemoveStream{"s", "a"}, Claim{"s", "worker", "w_1"},
		Ack{Number: 9, Via: PullWake, Token: 3, Generation: 3, WakeID: "w_1", Acks: []Cursor{{"a", at}}, Done: true},
		Ack{Number: 9, Generation: 3, WakeID: "w_1", Delivery: true},
		Release{9, 3, 3, "w_1"}, Wake{9, "w_2", -200}, Attempt{9, 4, "w_2"}, Delivered{9, 4, "w_2"}, DeliveryFailed{9, 4, "w_2", 17},
		Lapse{9, 4, 5}, Step{9}, PutKey{Key{Kid: "ds_1", Public: []byte{1, 2}, Secret: []byte{3}, Sealed: true}, true},
	}
}

func sampleSubscription() *Subscription {
	return &Subscription{ID: "s", Number: 9, Config: Config{Kind: Webhook, Pattern: "a/*", URL: "https://h/", LeaseTTL: time.Minute}, Hash: "00ff",
		Base: "https://x", CreatedAt: epoch, Generation: 4, WakeID: "w_2", Phase: Retrying, Holder: "h", LeaseUntil: epoch + 1, Retries: 2,
		NextAttempt: epoch + 2, Failed: true, Pending: 3, PendingSince: epoch + 3, Trigger: "a/b", Linking: true, Linked: "a/c", Deleted: true}
}

func TestEncodingsAreGolden(t *testing.T) {
	var lines []string
	line := func(b []byte) { lines = append(lines, fmt.Sprintf("%q", b)) }
	for _, c := range sampleCommands() {
		b := AppendCommand(nil, c)
		got, err := DecodeCommand(b)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%+v: got %+v, %v", c, got, err)
		}
		line(b)
	}
	for _, r := range []Result{{Outcome: Outcome{9, 4, "w", true, true, true, true, "ds_1"}}, {Refusal: &Refusal{Fenced, "d", "h", 4}}, {}} {
		b := AppendResult(nil, r)
		if got, err := DecodeResult(b); err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v: got %+v, %v", r, got, err)
		}
		line(b)
	}
	b := AppendSubscription(nil, sampleSubscription())
	if got, err := DecodeSubscription(b); err != nil || !reflect.DeepEqual(got, sampleSubscription()) {
		t.Fatalf("got %+v, %v", got, err)
	}
	line(b)
	keys := []Key{{Kid: "a", Public: []byte{1}, CreatedAt: 5, RetiredAt: 6}, {Kid: "b", Public: []byte{1}, Secret: []byte{9}}}
	b = AppendKeys(nil, keys)
	if got, err := DecodeKeys(b); err != nil || !reflect.DeepEqual(got, keys) {
		t.Fatalf("got %+v, %v", got, err)
	}
	line(b)
	for _, l := range []Link{{}, {Explicit: true, Acked: stream.Offset{Incarnation: 300, Pos: 1 << 50}}} {
		b := AppendLink(nil, l)
		if got, err := DecodeLink(b); err != nil || got != l {
			t.Fatalf("got %+v, %v", got, err)
		}
		line(b)
	}
	golden(t, "encodings.golden", lines)
}

// TestEveryFieldIsEncoded notices a field that the samples, and so the golden
// file, leave out.
func TestEveryFieldIsEncoded(t *testing.T) {
	v := reflect.ValueOf(*sampleSubscription())
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the sample leaves %s out", v.Type().Field(i).Name)
		}
	}
}

func TestOtherVersionsAndUnknownMembersAreRefused(t *testing.T) {
	b := AppendCommand(nil, Step{9})
	for name, bad := range map[string][]byte{
		"a later version": append([]byte{version + 1}, b[1:]...),
		"a later command": append([]byte{version, 200}, b[2:]...),
		"a later member":  append([]byte{version, byte(kindStep)}, `{"Number":9,"Other":1}`...),
		"a byte too many": append(bytes.Clone(b), '1'),
		"nothing":         nil,
		"half of it":      b[:len(b)/2],
	} {
		if c, err := DecodeCommand(bad); err == nil {
			t.Errorf("%s was read as %+v", name, c)
		}
	}
	link := AppendLink(nil, Link{Acked: stream.Offset{Incarnation: 1, Pos: 1}})
	for n := range link {
		if l, err := DecodeLink(link[:n]); err == nil {
			t.Errorf("a link cut after %d bytes was read as %+v", n, l)
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range sampleCommands() {
		f.Add(AppendCommand(nil, c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		once := AppendCommand(nil, c)
		again, err := DecodeCommand(once)
		if err != nil || !bytes.Equal(AppendCommand(nil, again), once) {
			t.Fatalf("%q is encoded as %q and then otherwise: %v", b, once, err)
		}
	})
}

func FuzzDecodeLink(f *testing.F) {
	f.Add(AppendLink(nil, Link{Explicit: true, Acked: stream.Offset{Incarnation: 300, Pos: 5}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeLink(b)
		if err != nil {
			return
		}
		if again, err := DecodeLink(AppendLink(nil, l)); err != nil || again != l {
			t.Fatalf("%x is read as %+v, and then as %+v, %v", b, l, again, err)
		}
	})
}
