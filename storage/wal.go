package storage

import (
	"errors"
	"log/slog"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// openWAL opens raft-wal over our meta file, record codec and files.
func openWAL(dir string, cfg LogConfig, m *logMeta, codec *recordCodec, files *walFiles) (*wal.WAL, error) {
	if err := healWAL(m, dir, cfg.SegmentBytes, cfg.Log, files); err != nil {
		return nil, err
	}
	m.sealed = files.sealed
	w, err := wal.Open(dir,
		wal.WithCodec(codec),
		wal.WithMetaStore(m),
		wal.WithSegmentFiler(codecFiler{segment.NewFiler(dir, files)}),
		wal.WithSegmentSize(cfg.SegmentBytes),
		wal.WithLogger(hclogTo(cfg.Log)),
	)
	// An unsealed segment that is missing is made anew; a sealed one is not.
	if errors.Is(err, wal.ErrCorrupt) || errors.Is(err, os.ErrNotExist) {
		return nil, corrupt(dir, "%v", err)
	}
	return w, err
}

// withCodec marks a segment as written with our codec. raft-wal v0.4.0 marks
// each new one as written with its own, and refuses it at the next start.
func withCodec(info types.SegmentInfo) types.SegmentInfo {
	if info.Codec == wal.CodecBinaryV1 {
		info.Codec = codecID
	}
	return info
}

// codecFiler writes and expects the codec in the headers of segment files.
type codecFiler struct{ types.SegmentFiler }

func (f codecFiler) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	return f.SegmentFiler.Create(withCodec(info))
}

func (f codecFiler) RecoverTail(info types.SegmentInfo) (types.SegmentWriter, error) {
	return f.SegmentFiler.RecoverTail(withCodec(info))
}

func (f codecFiler) Open(info types.SegmentInfo) (types.SegmentReader, error) {
	return f.SegmentFiler.Open(withCodec(info))
}

// hclogTo passes raft-wal's few messages, all of them bad news, on to log.
func hclogTo(log *slog.Logger) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Level: hclog.Warn, Output: slogWriter{log}, DisableTime: true,
	})
}

type slogWriter struct{ log *slog.Logger }

func (w slogWriter) Write(line []byte) (int, error) {
	w.log.Warn("raft log", "message", strings.TrimSpace(string(line)))
	return len(line), nil
}
