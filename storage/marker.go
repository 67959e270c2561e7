package storage

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Damage is what was found wrong with a node's data. While the file about it lies
// in the data directory, the data is not to be used.
type Damage struct {
	FoundAt time.Time `json:"found_at"`
	What    string    `json:"what"`
	Index   uint64    `json:"index,omitempty"` // of the log, at which copies were compared
	Range   string    `json:"range,omitempty"` // of keys that differed
}

const markerBytesMax = 1 << 20

// marker is a file for people and programs: plain JSON, and its presence alone
// says that the data is damaged.
func (d Dir) marker() string { return filepath.Join(string(d), "DAMAGED") }

// SaveDamage writes the file DAMAGED in one durable step.
func SaveDamage(fs vfs.FS, dir Dir, d Damage) error {
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", dir.marker(), err)
	}
	if err := writeFile(fs, dir.marker(), append(data, '\n')); err != nil {
		return fmt.Errorf("mark the data directory as damaged: %w", err)
	}
	return nil
}

// LoadDamage reads the file DAMAGED; found is false when there is none. One that
// makes no sense counts all the same.
func LoadDamage(fs vfs.FS, dir Dir) (d Damage, found bool, err error) {
	data, err := readFile(fs, dir.marker(), markerBytesMax)
	if oserror.IsNotExist(err) {
		return Damage{}, false, nil
	}
	if err != nil {
		return Damage{}, false, fmt.Errorf("look for %s: %w", dir.marker(), err)
	}
	if json.Unmarshal(data, &d) != nil || d.What == "" {
		d.What = "the file does not say what"
	}
	return d, true, nil
}

// CheckUndamaged refuses a data directory that was found damaged. The error wraps
// ErrCorrupt.
func CheckUndamaged(fs vfs.FS, dir Dir) error {
	d, found, err := LoadDamage(fs, dir)
	if err != nil || !found {
		return err
	}
	return fmt.Errorf("%w: %s says that at %s this was found: %s", ErrCorrupt, dir.marker(), d.FoundAt.UTC().Format(time.RFC3339), d.What)
}
