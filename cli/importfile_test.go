package cli

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// What an import holds does not grow with the file.
func TestAnImportHoldsNoMoreThanAPiece(t *testing.T) {
	data := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 1000)))
	var file strings.Builder
	file.WriteString(`{"format_version":1,"streams":[{"name":"x","config":{"content_type":"text/plain"},"messages":[`)
	for i := range 20_000 {
		if i > 0 {
			file.WriteByte(',')
		}
		fmt.Fprintf(&file, `{"data_base64":%q}`, data)
	}
	file.WriteString(`]}]}`)
	in := strings.NewReader(file.String())
	most, read := 0, 0
	err := readExport(in, exportVisitor{
		begin:   func(exportStream) (bool, error) { return true, nil },
		message: func(b []byte) error { read += len(b); most = max(most, int(in.Size())-in.Len()-read*4/3); return nil },
		end:     func(bool) error { return nil },
	})
	if err != nil || read != 20_000_000 {
		t.Fatalf("read %d bytes, %v", read, err)
	}
	if most > 1<<20 {
		t.Errorf("up to %d bytes were read ahead", most)
	}
}
