package cli

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"
	"unicode/utf8"

	"mainstem/client"
	"mainstem/stream"
)

// The file of export and import is that of the Rust crate durable-streams-server:
// one JSON object with all streams in it. It is written and read piece by piece,
// since it may be larger than memory. Members that the crate does not know are
// passed over by it.
const exportVersion = 1

// exportHead is the file up to its streams.
type exportHead struct {
	Version    int    `json:"format_version"`
	ExportedAt string `json:"exported_at"`
	Server     string `json:"server_version"`
}

// exportConfig is what a stream was created as.
type exportConfig struct {
	ContentType   string  `json:"content_type"`
	TTL           *uint64 `json:"ttl_seconds"`
	ExpiresAt     *string `json:"expires_at"`
	CreatedClosed bool    `json:"created_closed"`

	// Of Mainstem.
	RetentionBytes uint64 `json:"retention_bytes,omitempty"`
	RetentionAge   uint64 `json:"retention_age_seconds,omitempty"`
}

// exportStream is a stream up to its messages.
type exportStream struct {
	Name      string       `json:"name"`           // as text, its escapes undone
	Path      string       `json:"path,omitempty"` // of Mainstem: the name as it stands in a URL, where text does not tell it
	Config    exportConfig `json:"config"`
	CreatedAt string       `json:"created_at"`
	UpdatedAt *string      `json:"updated_at"`
}

// exportMessage is a message: of JSON one value, of other content some bytes.
type exportMessage struct {
	Offset string `json:"offset"`
	Data   string `json:"data_base64"`
}

// exportTotals is a stream after its messages.
type exportTotals struct {
	Closed   bool   `json:"closed"` // here, since it may be closed while it is read
	Bytes    uint64 `json:"total_bytes"`
	Messages uint64 `json:"message_count"`
	Next     string `json:"next_offset"`
}

// exportWriter writes the file. The first error stays.
type exportWriter struct {
	w       *bufio.Writer
	err     error
	streams int
	totals  exportTotals // of the stream at hand
}

func newExportWriter(w io.Writer, version string, now time.Time) *exportWriter {
	e := &exportWriter{w: bufio.NewWriterSize(w, 256<<10)}
	e.open(exportHead{exportVersion, now.UTC().Format(time.RFC3339Nano), version})
	e.text(`,"streams":[`)
	return e
}

// open writes an object without its closing brace.
func (e *exportWriter) open(v any) {
	b, err := json.Marshal(v)
	e.fail(err)
	if e.err == nil {
		e.text(string(b[:len(b)-1]))
	}
}

func (e *exportWriter) text(s string) {
	if e.err == nil {
		_, e.err = e.w.WriteString(s)
	}
}

func (e *exportWriter) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// begin begins a stream.
func (e *exportWriter) begin(s exportStream) {
	if e.streams++; e.streams > 1 {
		e.text(",")
	}
	e.text("\n")
	e.totals = exportTotals{}
	e.open(s)
	e.text(`,"messages":[`)
}

// message adds one to the stream at hand.
func (e *exportWriter) message(data []byte) {
	if e.totals.Messages > 0 {
		e.text(",")
	}
	e.text(`{"offset":"` + crateOffset(e.totals) + `","data_base64":"`)
	if e.err == nil {
		into := base64.NewEncoder(base64.StdEncoding, e.w)
		_, err := into.Write(data)
		e.fail(errors.Join(err, into.Close()))
	}
	e.text(`"}`)
	e.totals.Messages++
	e.totals.Bytes += uint64(len(data))
}

// end ends a stream.
func (e *exportWriter) end(closed bool) {
	e.totals.Closed, e.totals.Next = closed, crateOffset(e.totals)
	b, err := json.Marshal(e.totals)
	e.fail(err)
	if e.err == nil {
		e.text("]," + string(b[1:]))
	}
}

func (e *exportWriter) close() error {
	e.text("\n]}\n")
	if e.err == nil {
		e.err = e.w.Flush()
	}
	return e.err
}

// crateOffset is an offset as the crate counts: messages and bytes before it.
func crateOffset(t exportTotals) string { return fmt.Sprintf("%016d_%016d", t.Messages, t.Bytes) }

// chunk adds what a read returned: of JSON each element of the array.
func (e *exportWriter) chunk(c client.Chunk) error {
	if !isJSON(c.ContentType) {
		if len(c.Body) > 0 {
			e.message(c.Body)
		}
		return e.err
	}
	d := json.NewDecoder(bytes.NewReader(c.Body))
	if len(c.Body) == 0 {
		return e.err
	}
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("a read of JSON did not return an array: %w", err)
	}
	for d.More() {
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("a read of JSON did not return an array: %w", err)
		}
		e.message(value)
	}
	return e.err
}

// exported is what the file says of a stream that was listed.
func exported(l client.Listed) exportStream {
	s := exportStream{
		Config:    exportConfig{ContentType: l.ContentType, TTL: l.TTL, RetentionBytes: l.RetentionBytes, RetentionAge: l.RetentionAge},
		CreatedAt: l.CreatedAt,
	}
	if l.ExpiresAt != "" {
		s.Config.ExpiresAt = &l.ExpiresAt
	}
	s.Name, s.Path = nameAsText(l.Name)
	return s
}

// nameAsText undoes the escapes of a name. path is the name where it cannot be
// told from that text.
func nameAsText(name string) (text, path string) {
	text, err := url.PathUnescape(name)
	if err != nil {
		return name, name
	}
	if again, err := textAsName(text); err != nil || again != name || !utf8.ValidString(text) {
		return text, name
	}
	return text, ""
}

// textAsName is the name of which text is left when its escapes are undone.
func textAsName(text string) (string, error) {
	escaped := make([]byte, 0, len(text))
	for _, c := range []byte(text) {
		if c == '%' || c == '?' || c == '#' {
			escaped = fmt.Appendf(escaped, "%%%02X", c)
			continue
		}
		escaped = append(escaped, c)
	}
	n, err := stream.ParseName(string(escaped))
	return string(n), err
}

// nameIn is the name of a stream of the file.
func (s *exportStream) nameIn() (string, error) {
	if s.Path != "" {
		n, err := stream.ParseName(s.Path)
		return string(n), err
	}
	return textAsName(s.Name)
}
