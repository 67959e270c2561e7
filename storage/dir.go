package storage

import "path/filepath"

// Dir is a node's data directory. Its methods say what lies where in it.
type Dir string

// Copy is for Config.
func (d Dir) Copy() string { return filepath.Join(string(d), "copy") }

// Log is for LogConfig.
func (d Dir) Log() string { return filepath.Join(string(d), "log") }

// Stable is a file, for StableConfig.
func (d Dir) Stable() string { return filepath.Join(string(d), "stable.db") }

// Snapshots is for SnapshotsConfig.
func (d Dir) Snapshots() string { return filepath.Join(string(d), "snapshots") }

func (d Dir) ballast() string { return filepath.Join(string(d), "ballast") }

func (d Dir) journal() string  { return filepath.Join(string(d), "recovery.json") }
func (d Dir) identity() string { return filepath.Join(string(d), "node.json") }
func (d Dir) lock() string     { return filepath.Join(string(d), "lock") }
