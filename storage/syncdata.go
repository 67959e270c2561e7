package storage

import "os"

// SyncWritten makes what was written into a file's blocks durable, as the log does
// it: fdatasync where there is that, fsync elsewhere. The blocks were there before.
func SyncWritten(f *os.File) error {
	if canSyncData {
		return syncData(int(f.Fd()))
	}
	return f.Sync()
}
