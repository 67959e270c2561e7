package storage

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

var (
	// ErrCorrupt is wrapped by every error that says stored bytes are not what
	// was written. The text names the file.
	ErrCorrupt = errors.New("stored data is corrupt")
	// ErrClosed is returned by calls after Close.
	ErrClosed = errors.New("storage is closed")
	// ErrNewerFormat is wrapped when a newer version of mainstem wrote a file.
	ErrNewerFormat = errors.New("written by a newer version of mainstem")
)

// corrupt makes an error that names the damaged file and wraps ErrCorrupt.
func corrupt(path, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrCorrupt, path, fmt.Sprintf(format, args...))
}

// named adds what was done to an error of pebble, and the damaged file when the
// error is about corruption.
func named(what, dir string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%s in %s: %w", what, dir, err)
	}
	if !pebble.IsCorruptionError(err) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		dir = info.Path
	}
	return fmt.Errorf("%s: %w: %s: %w", what, ErrCorrupt, dir, err)
}
