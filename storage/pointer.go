package storage

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	pointerFile = "current.json"
	copyPrefix  = "copy-"
)

type pointer struct {
	Copy string `json:"copy"`
}

func copyName(n uint64) string { return fmt.Sprintf("%s%06d", copyPrefix, n) }

func parseCopyName(name string) (n uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, copyPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && copyName(n) == name
}

// loadPointer returns the name of the current copy, "" in a fresh directory.
func loadPointer(fs vfs.FS, dir string) (string, error) {
	path := fs.PathJoin(dir, pointerFile)
	var p pointer
	err := readSealed(fs, path, &p)
	if oserror.IsNotExist(err) {
		return "", checkFresh(fs, dir)
	}
	if err != nil {
		return "", err
	}
	if _, ok := parseCopyName(p.Copy); !ok {
		return "", corrupt(path, "it names %q", p.Copy)
	}
	return p.Copy, nil
}

// checkFresh refuses to start anew where tables lie: the pointer was lost. A
// copy whose making was interrupted has none, since nothing was committed to it.
func checkFresh(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := parseCopyName(name); !ok {
			continue
		}
		files, err := fs.List(fs.PathJoin(dir, name))
		if err != nil {
			return err
		}
		for _, file := range files {
			if strings.HasSuffix(file, tableSuffix) {
				return corrupt(fs.PathJoin(dir, pointerFile), "it is missing beside %s, which holds tables", name)
			}
		}
	}
	return nil
}

const tableSuffix = ".sst"

func savePointer(fs vfs.FS, dir, name string) error {
	if err := writeSealed(fs, fs.PathJoin(dir, pointerFile), pointer{Copy: name}); err != nil {
		return fmt.Errorf("point to %s: %w", name, err)
	}
	return nil
}

// removeStrays removes copies that the pointer does not name: what a crash in
// Replace, before or after the pointer moved, has left.
func removeStrays(fs vfs.FS, dir, keep string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		_, isCopy := parseCopyName(name)
		if isCopy && name != keep || name == pointerFile+tempSuffix {
			if err := fs.RemoveAll(fs.PathJoin(dir, name)); err != nil {
				return fmt.Errorf("remove stray %s: %w", name, err)
			}
		}
	}
	return nil
}
