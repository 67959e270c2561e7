package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// transfer is how far one came, as its file keeps it. What cuts the input must
// be as it was, or a repeat would not be one.
type transfer struct {
	Stream   string `json:"stream"`
	File     string `json:"file"`
	Size     int64  `json:"size"`
	Chunk    int64  `json:"chunk"`
	Lines    bool   `json:"lines"`
	Epoch    uint64 `json:"epoch"`
	Seq      uint64 `json:"seq"`      // of the next append
	Position int64  `json:"position"` // in the input, before the next append
}

// loadTransfer returns how far a transfer came, or its beginning.
func loadTransfer(path string, fresh transfer) (transfer, error) {
	if path == "" {
		return fresh, nil
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return fresh, err
	}
	var was transfer
	if err := json.Unmarshal(content, &was); err != nil {
		return fresh, fmt.Errorf("--resume %s: %w", path, err)
	}
	same := was
	same.Seq, same.Position = 0, 0
	if same != fresh {
		return fresh, fmt.Errorf("--resume %s: it is of another transfer, or the file has changed: stream %s, file %s of %d bytes, chunk %d, lines %v, epoch %d; give these, or another file and a higher --epoch",
			path, was.Stream, was.File, was.Size, was.Chunk, was.Lines, was.Epoch)
	}
	return was, nil
}

// save keeps how far it came. A crash leaves this or the one before.
func (t transfer) save(path string) error {
	if path == "" {
		return nil
	}
	content, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return replaceFile(path, content)
}

func (t transfer) forget(path string) error {
	if path == "" {
		return nil
	}
	return os.Remove(path)
}

// replaceFile writes a file so that it is always the old one or the new one.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// bar shows progress to a person at a terminal, and nothing elsewhere.
type bar struct{ b *progressbar.ProgressBar }

// progress begins a bar; size is below 0 when nobody knows it.
func (s *streamer) progress(size, at int64) bar {
	if s.quiet || !isTerminal(s.notes) {
		return bar{}
	}
	b := progressbar.NewOptions64(size, progressbar.OptionSetWriter(s.notes), progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
	shown := bar{b}
	shown.set(at)
	return shown
}

func (b bar) set(at int64) {
	if b.b != nil {
		_ = b.b.Set64(at) // of a terminal that is gone
	}
}

func (b bar) end() {
	if b.b != nil {
		_ = b.b.Finish()
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
