package cli

import (
	"path/filepath"
	"testing"
)

func TestAResumedTransferOfAnotherFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	was := transfer{Stream: "s", File: "f", Size: 10, Chunk: 4, Position: 8, Seq: 2}
	if err := was.save(state); err != nil {
		t.Fatal(err)
	}
	fresh := was
	fresh.Position, fresh.Seq = 0, 0
	if got, err := loadTransfer(state, fresh); err != nil || got != was {
		t.Fatalf("got %+v, %v", got, err)
	}
	for name, change := range map[string]func(*transfer){
		"stream": func(x *transfer) { x.Stream = "t" }, "file": func(x *transfer) { x.File = "g" }, "size": func(x *transfer) { x.Size = 11 },
		"chunk": func(x *transfer) { x.Chunk = 5 }, "lines": func(x *transfer) { x.Lines = true }, "epoch": func(x *transfer) { x.Epoch = 1 },
	} {
		other := fresh
		change(&other)
		if _, err := loadTransfer(state, other); err == nil {
			t.Errorf("another %s was taken", name)
		}
	}
}
