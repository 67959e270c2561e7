//go:build !linux

package storage

import "errors"

const canSyncData = false

func syncData(int) error { return errors.ErrUnsupported }
