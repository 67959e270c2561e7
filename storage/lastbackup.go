package storage

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// LastBackup is what a node remembers of the last backup that was made of its
// copy and completed.
type LastBackup struct {
	ID      string    `json:"id"`
	Index   uint64    `json:"index"`
	TakenAt time.Time `json:"taken_at"`
}

func (d Dir) lastBackup() string { return filepath.Join(string(d), "backup.json") }

// LoadLastBackup returns the zero value when there is none.
func LoadLastBackup(fs vfs.FS, dir Dir) (b LastBackup, err error) {
	err = readSealed(fs, dir.lastBackup(), &b)
	if oserror.IsNotExist(err) {
		return LastBackup{}, nil
	}
	if err != nil {
		return LastBackup{}, fmt.Errorf("read what is known of the last backup: %w", err)
	}
	return b, nil
}

// SaveLastBackup replaces it in one durable step.
func SaveLastBackup(fs vfs.FS, dir Dir, b LastBackup) error {
	if err := writeSealed(fs, dir.lastBackup(), b); err != nil {
		return fmt.Errorf("remember the last backup: %w", err)
	}
	return nil
}
