package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"
)

// TarWriter is a Bucket that can only be written: one backup as one stream. It
// holds no base, so that what is written there is always all.
type TarWriter struct {
	w   *tar.Writer
	now func() time.Time
}

// NewTarWriter writes to w.
func NewTarWriter(w io.Writer, now func() time.Time) *TarWriter {
	return &TarWriter{w: tar.NewWriter(w), now: now}
}

// Put implements Bucket.
func (t *TarWriter) Put(_ context.Context, name string, content []byte) error {
	if err := t.w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: t.now().Truncate(time.Second), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := t.w.Write(content)
	return err
}

// Get implements Bucket: there is nothing to get.
func (t *TarWriter) Get(_ context.Context, name string) (io.ReadCloser, error) {
	return nil, fmt.Errorf("%s: %w: the archive is being written", name, ErrAbsent)
}

// List implements Bucket.
func (t *TarWriter) List(context.Context) ([]string, error) { return nil, nil }

// Close writes the end of the archive.
func (t *TarWriter) Close() error { return t.w.Close() }

// Tar is a Bucket that can only be read: an archive that a TarWriter wrote.
type Tar struct {
	file  *os.File
	parts map[string]tarPart
	ids   []string
}

type tarPart struct{ offset, size int64 }

// OpenTar finds the objects in an archive. One that is cut has those before.
func OpenTar(name string) (*Tar, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	t := &Tar{file: f, parts: map[string]tarPart{}}
	if err := t.index(); err != nil {
		return nil, errors.Join(fmt.Errorf("read archive %s: %w", name, err), f.Close())
	}
	return t, nil
}

func (t *Tar) index() error {
	seen := map[string]bool{}
	for r := tar.NewReader(t.file); ; {
		h, err := r.Next()
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) && len(t.parts) > 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w; it is to be what mainstem backup create wrote", err)
		}
		at, err := t.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		t.parts[h.Name] = tarPart{at, h.Size}
		if id := path.Dir(h.Name); !seen[id] {
			seen[id] = true
			t.ids = append(t.ids, id)
		}
	}
}

// Put implements Bucket: it refuses.
func (t *Tar) Put(_ context.Context, name string, _ []byte) error {
	return fmt.Errorf("put %s: an archive is written once; name a new one, or a directory", name)
}

// Get implements Bucket.
func (t *Tar) Get(_ context.Context, name string) (io.ReadCloser, error) {
	p, ok := t.parts[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, ErrAbsent)
	}
	return io.NopCloser(io.NewSectionReader(t.file, p.offset, p.size)), nil
}

// List implements Bucket.
func (t *Tar) List(context.Context) ([]string, error) { return t.ids, nil }

// Close closes the file.
func (t *Tar) Close() error { return t.file.Close() }
