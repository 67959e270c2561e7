package fsm_test

import (
	"testing"

	"mainstem/stream"
)

func TestMachineIsWatchedWhileSomebodyFollows(t *testing.T) {
	n := newNode(t)
	n.must(stream.Create{Name: "a", ContentType: "text/plain"})
	if n.Watched() {
		t.Fatal("nobody follows yet")
	}
	_, end := n.Follow("a")
	if !n.Watched() {
		t.Fatal("a follower was not seen")
	}
	end()
	if n.Watched() {
		t.Fatal("the follower has left")
	}
}
