package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatVersion is that of the data directory: of its small files, and of the log's
// records, beside which one of them lies. A file with a higher one was
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
	data, err := encodeSealed(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return writeFile(fs, path, data)
}

// readSealed reads what writeSealed wrote. An absent file is an error that
// oserror.IsNotExist knows; a damaged one wraps ErrCorrupt.
func readSealed(fs vfs.FS, path string, v any) error {
	data, err := readFile(fs, path, sealedBytesMax)
	if err != nil {
		return err
	}
	return decodeSealed(path, data, v)
}

func encodeSealed(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(sealed{Format: formatVersion, Body: body})
	if err != nil {
		return nil, err
	}
	return sealLine(append(line, '\n')), nil
}

func sealLine(line []byte) []byte {
	return fmt.Appendf(line, "crc32c %08x\n", castagnoli(0, line))
}

func decodeSealed(path string, data []byte, v any) error {
	end := bytes.IndexByte(data, '\n') + 1
	if end == 0 {
		return corrupt(path, "it has no checksum")
	}
	line, sum := data[:end], data[end:]
	if want := fmt.Sprintf("crc32c %08x\n", castagnoli(0, line)); string(sum) != want {
		return corrupt(path, "its checksum is %q and its content has %q", sum, want)
	}
	var s sealed
	if err := json.Unmarshal(line, &s); err != nil {
		return corrupt(path, "%v", err)
	}
	if s.Format > formatVersion {
		return fmt.Errorf("%s has format %d and this version reads %d: %w; start the version that wrote it, or upgrade this node", path, s.Format, formatVersion, ErrNewerFormat)
	}
	if s.Format < 1 {
		return corrupt(path, "format %d", s.Format)
	}
	if err := json.Unmarshal(s.Body, v); err != nil {
		return corrupt(path, "%v", err)
	}
	return nil
}
