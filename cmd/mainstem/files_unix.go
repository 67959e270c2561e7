//go:build unix

package main

import "syscall"

// openFilesMax is how many descriptors this process may have, 0 if that is not
// known. The soft limit is the hard one: the runtime raises it at the start.
func openFilesMax() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}
