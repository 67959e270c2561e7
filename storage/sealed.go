package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatVersion is that of the small files of the data directory, but for log.json,
// which has that of the records beside it. A file with a higher one was
// written by a newer version and is refused, never guessed at.
const formatVersion = 1

// sealedBytesMax bounds the small files: a cluster's configuration is the
// largest thing in one.
const sealedBytesMax = 4 << 20

// castagnoli is hardware-assisted on the machines that matter.
func castagnoli(crc uint32, b []byte) uint32 {
	return crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), b)
}

// sealed is the shape of the small files: a line of JSON that a person can read
// and a checksum over that line.
type sealed struct {
	Format int             `json:"format"`
	Body   json.RawMessage `json:"body"`
}

// writeSealed replaces a small file in one durable step.
func writeSealed(fs vfs.FS, path string, v any) error {
	return writeSealedAs(fs, path, formatVersion, v)
}

// writeSealedAs is writeSealed for a file with a format of its own.
func writeSealedAs(fs vfs.FS, path string, format int, v any) error {
	data, err := encodeSealed(format, v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return writeFile(fs, path, data)
}

// readSealed reads what writeSealed wrote. An absent file is an error that
// oserror.IsNotExist knows; a damaged one wraps ErrCorrupt.
func readSealed(fs vfs.FS, path string, v any) error {
	_, err := readSealedUpTo(fs, path, formatVersion, v)
	return err
}

// readSealedUpTo is readSealed for a file with a format of its own, which it
// returns.
func readSealedUpTo(fs vfs.FS, path string, newest int, v any) (format int, err error) {
	data, err := readFile(fs, path, sealedBytesMax)
	if err != nil {
		return 0, err
	}
	return decodeSealed(path, data, newest, v)
}

func encodeSealed(format int, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(sealed{Format: format, Body: body})
	if err != nil {
		return nil, err
	}
	return sealLine(append(line, '\n')), nil
}

func sealLine(line []byte) []byte {
	return fmt.Appendf(line, "crc32c %08x\n", castagnoli(0, line))
}

func decodeSealed(path string, data []byte, newest int, v any) (format int, err error) {
	end := bytes.IndexByte(data, '\n') + 1
	if end == 0 {
		return 0, corrupt(path, "it has no checksum")
	}
	line, sum := data[:end], data[end:]
	if want := fmt.Sprintf("crc32c %08x\n", castagnoli(0, line)); string(sum) != want {
		return 0, corrupt(path, "its checksum is %q and its content has %q", sum, want)
	}
	var s sealed
	if err := json.Unmarshal(line, &s); err != nil {
		return 0, corrupt(path, "%v", err)
	}
	if s.Format > newest {
		return 0, fmt.Errorf("%s has format %d and this version reads %d: %w; start the version that wrote it, or upgrade this node", path, s.Format, newest, ErrNewerFormat)
	}
	if s.Format < 1 {
		return 0, corrupt(path, "format %d", s.Format)
	}
	if err := json.Unmarshal(s.Body, v); err != nil {
		return 0, corrupt(path, "%v", err)
	}
	return s.Format, nil
}
