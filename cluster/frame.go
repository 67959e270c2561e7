package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

const (
	// entryBytesMax bounds one entry of the log: raft-wal refuses 64 MiB.
	entryBytesMax = 60 << 20
	// frameBytesMax bounds one frame of the peer protocol.
	frameBytesMax = 64 << 20
	// frameGrowBytes is what a frame's announced length is believed for before
	// its bytes arrive.
	frameGrowBytes = 1 << 20

	frameHeaderLen = 4 + 8 + 1
)

// frame is one request or response on an RPC connection:
//
//	u32 length of what follows | u64 request id | u8 method or status | body
type frame struct {
	id   uint64
	code byte
	body []byte
}

var errFrameTooLarge = errors.New("the frame is larger than the peer protocol allows")

// writeFrame writes f in one go. When it returns an error the peer has not got
// the whole frame and will not act on it, provided the connection is closed.
func writeFrame(w net.Conn, f frame) error {
	if len(f.body) > frameBytesMax-frameHeaderLen {
		return errFrameTooLarge
	}
	head := make([]byte, frameHeaderLen)
	binary.BigEndian.PutUint32(head, uint32(8+1+len(f.body)))
	binary.BigEndian.PutUint64(head[4:], f.id)
	head[12] = f.code
	parts := net.Buffers{head, f.body}
	if _, err := parts.WriteTo(w); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// readFrame reads one frame. The body is the caller's to keep.
func readFrame(r io.Reader) (frame, error) {
	var head [frameHeaderLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 9 || n > frameBytesMax {
		return frame{}, fmt.Errorf("read frame of %d bytes: %w", n, errFrameTooLarge)
	}
	f := frame{id: binary.BigEndian.Uint64(head[4:]), code: head[12]}
	body, err := readBytes(r, int(n)-9)
	if err != nil {
		return frame{}, fmt.Errorf("read frame: %w", err)
	}
	f.body = body
	return f, nil
}

// readBytes reads n bytes, and allocates no more than has arrived.
func readBytes(r io.Reader, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, min(n, frameGrowBytes))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	for len(b) < n {
		at := len(b)
		b = append(b, make([]byte, min(n-at, at))...)
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}
