package cluster

import (
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

type ill struct{ well }

func (ill) Damage() string { return "a block does not check" }

type anySnapshot struct{ raft.SnapshotStore }

func (anySnapshot) Open(string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	return &raft.SnapshotMeta{}, io.NopCloser(strings.NewReader("")), nil
}

func TestNobodyIsFilledFromADamagedCopy(t *testing.T) {
	if _, _, err := (watchedSnapshots{SnapshotStore: anySnapshot{}, health: well{}}).Open("1-2-3"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (watchedSnapshots{SnapshotStore: anySnapshot{}, health: ill{}}).Open("1-2-3"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Fatalf("got %v", err)
	}
}
