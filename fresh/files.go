package fresh

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// every is how often files are read where the configuration does not say it.
const every = time.Second

// File is one of the files that are taken together.
type File struct {
	Name     string // what it is for, before an error of the file; "" for its path alone
	Path     string
	BytesMax int64 // 1 MiB
}

const bytesMax = 1 << 20

// Config is what to read and whom to tell.
type Config struct {
	Files []File
	// Take makes the content of the files, in their order, what is used from now
	// on. An error says what is not sound, and then nothing has changed. It may
	// keep the slices.
	Take func(content [][]byte) error
	// Taken is told after each change that was taken, Refused of one that could not
	// be read or taken, once while it stays as it is. Either may be nil.
	Taken   func()
	Refused func(error)
	Every   time.Duration // 1 s
}

// Files are files that are read again. Their content is compared, not their
// times: a secret that is mounted by symbolic links changes without them.
type Files struct {
	cfg   Config
	taken [sha256.Size]byte // digest of what is in use; Run alone changes it
}

// ReadError is an error of reading the files, before anybody looked at what they
// hold.
type ReadError struct{ err error }

func (e *ReadError) Error() string { return e.err.Error() }
func (e *ReadError) Unwrap() error { return e.err }

// Open reads the files and has them taken.
func Open(cfg Config) (*Files, error) {
	if cfg.Every == 0 {
		cfg.Every = every
	}
	f := &Files{cfg: cfg}
	content, sum, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := cfg.Take(content); err != nil {
		return nil, err
	}
	f.taken = sum
	return f, nil
}

// Run reads the files again until ctx ends. It returns only when it is done.
func (f *Files) Run(ctx context.Context) {
	if len(f.cfg.Files) == 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(f.cfg.Every)
	defer tick.Stop()
	var no refused
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.look(&no)
	}
}

// refused is what was told last, and of what content: files that stay unsound are
// not judged again.
type refused struct {
	told string
	sum  [sha256.Size]byte
}

func (f *Files) look(no *refused) {
	content, sum, err := f.read()
	switch {
	case err != nil:
		sum = [sha256.Size]byte{}
	case sum == f.taken:
		*no = refused{}
		return
	case no.told != "" && sum == no.sum:
		return
	default:
		err = f.cfg.Take(content)
	}
	if err == nil {
		f.taken, *no = sum, refused{}
		if f.cfg.Taken != nil {
			f.cfg.Taken()
		}
		return
	}
	if err.Error() != no.told && f.cfg.Refused != nil {
		f.cfg.Refused(err)
	}
	*no = refused{err.Error(), sum}
}

// read returns the content of all files and one digest of it, which tells a
// change without keys being kept in memory for it.
func (f *Files) read() (content [][]byte, sum [sha256.Size]byte, err error) {
	digest := sha256.New()
	var failed []error
	for _, file := range f.cfg.Files {
		b, err := file.read()
		if err != nil {
			failed = append(failed, err)
		}
		content = append(content, b)
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(b)))
		digest.Write(size[:])
		digest.Write(b)
	}
	if len(failed) > 0 {
		return nil, sum, &ReadError{errors.Join(failed...)}
	}
	return content, [sha256.Size]byte(digest.Sum(nil)), nil
}

func (f File) read() (content []byte, err error) {
	max := f.BytesMax
	if max == 0 {
		max = bytesMax
	}
	defer func() {
		if err != nil && f.Name != "" {
			err = fmt.Errorf("%s: %w", f.Name, err)
		}
	}()
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read
	content, err = io.ReadAll(io.LimitReader(file, max+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Path, err)
	}
	if int64(len(content)) > max {
		return nil, fmt.Errorf("%s has more than %d bytes, which are the most that are read", f.Path, max)
	}
	return content, nil
}
