//go:build !linux

package bench

import "errors"

var errNoProc = errors.New("processes are watched on Linux only")

func cpuOf(int) (float64, error)    { return 0, errNoProc }
func memoryOf(int) (float64, error) { return 0, errNoProc }
