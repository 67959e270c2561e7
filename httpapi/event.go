package httpapi

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"mainstem/stream"
)

// encoding is how the bytes of a stream become the text of a data event.
type encoding uint8

const (
	plainText encoding = iota
	jsonArray
	base64Text
)

func encodingOf(t stream.ContentType) encoding {
	switch {
	case t.JSON():
		return jsonArray
	case t.Text():
		return plainText
	}
	return base64Text
}

// appendData appends one data event (§5.8), which a client can decode without
// the ones before.
func appendData(b []byte, e encoding, chunk *stream.Chunk) []byte {
	b = append(b, "event: data\ndata:"...)
	switch e {
	case base64Text:
		b = appendBase64(b, chunk)
	case jsonArray:
		b = append(b, '[')
		b = appendLines(b, chunk)
		b[len(b)-1] = ']' // in place of the comma that ends every message
	default:
		b = appendLines(b, chunk)
	}
	return append(b, "\n\n"...)
}

// appendLines appends the text of a chunk as data lines. CRLF, CR and LF all
// end a line in an event stream, so each becomes the start of a new data line:
// no payload can write a field or end an event.
func appendLines(b []byte, chunk *stream.Chunk) []byte {
	afterCR := false // a LF that follows belongs to it, also in the next piece
	for _, piece := range chunk.Body {
		for len(piece) > 0 {
			if afterCR && piece[0] == '\n' {
				afterCR, piece = false, piece[1:]
				continue
			}
			afterCR = false
			if piece[0] == ' ' && b[len(b)-1] == ':' && bytes.HasSuffix(b, lineStart) {
				b = append(b, ' ') // readers take one space after the colon away
			}
			i := bytes.IndexAny(piece, "\r\n")
			if i < 0 {
				b = append(b, piece...)
				break
			}
			b = append(b, piece[:i]...)
			b = append(b, lineStart...)
			afterCR = piece[i] == '\r'
			piece = piece[i+1:]
		}
	}
	return b
}

var lineStart = []byte("\ndata:")

func appendBase64(b []byte, chunk *stream.Chunk) []byte {
	if len(chunk.Body) == 1 {
		return base64.StdEncoding.AppendEncode(b, chunk.Body[0])
	}
	out := bytes.NewBuffer(b)
	enc := base64.NewEncoder(base64.StdEncoding, out) // carries what is left over between pieces
	for _, piece := range chunk.Body {
		_, _ = enc.Write(piece) // a bytes.Buffer refuses nothing
	}
	_ = enc.Close()
	return out.Bytes()
}

// appendControl appends the control event that follows every data event.
func appendControl(b []byte, next stream.Offset, cursor uint64, upToDate, ended bool) []byte {
	b = append(b, "event: control\ndata:{\"streamNextOffset\":\""...)
	b = next.AppendTo(b)
	b = append(b, '"')
	switch {
	case ended && upToDate:
		return append(b, ",\"upToDate\":true,\"streamClosed\":true}\n\n"...)
	case ended:
		return append(b, ",\"streamClosed\":true}\n\n"...)
	}
	b = append(b, ",\"streamCursor\":\""...)
	b = strconv.AppendUint(b, cursor, 10)
	return append(b, afterCursor(upToDate)...)
}

// afterCursor is the rest of a control event that has a cursor.
func afterCursor(upToDate bool) string {
	if upToDate {
		return "\",\"upToDate\":true}\n\n"
	}
	return "\"}\n\n"
}
