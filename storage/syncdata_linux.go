package storage

import "golang.org/x/sys/unix"

const canSyncData = true

// syncData makes a file's data durable, and what it takes to read it.
func syncData(fd int) error {
	for {
		if err := unix.Fdatasync(fd); err != unix.EINTR {
			return err
		}
	}
}
