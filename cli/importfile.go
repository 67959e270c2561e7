package cli

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// exportVisitor is what reading an export file calls, in the order of the file.
type exportVisitor struct {
	begin   func(exportStream) (wanted bool, err error)
	message func(data []byte) error
	end     func(closed bool) error
}

// readExport reads an export file, of which it holds one message at a time. What
// a message needs, a file must tell before it: the version before the streams,
// and of a stream its name and configuration before its messages, as those who
// write such files do.
func readExport(in io.Reader, v exportVisitor) error {
	d := json.NewDecoder(in)
	versioned, listed := false, false
	err := eachMember(d, func(name string) error {
		switch name {
		case "format_version":
			var version int
			if err := d.Decode(&version); err != nil {
				return fmt.Errorf("format_version: %w", err)
			}
			if version != exportVersion {
				return fmt.Errorf("the file is of format_version %d; this version reads %d", version, exportVersion)
			}
			versioned = true
			return nil
		case "streams":
			if !versioned {
				return errors.New("format_version does not come before the streams: is this a file of export?")
			}
			listed = true
			return eachElement(d, func() error { return readExported(d, v) })
		}
		return skipValue(d)
	})
	if err != nil {
		return fmt.Errorf("near byte %d of the export: %w", d.InputOffset(), err)
	}
	if !versioned || !listed {
		return errors.New("the file has no format_version or no streams: is this a file of export?")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows after the end of the export")
	}
	return nil
}

func readExported(d *json.Decoder, v exportVisitor) error {
	var s exportStream
	configured, wanted, met, closed := false, false, false, false
	err := eachMember(d, func(name string) error {
		switch name {
		case "name":
			return d.Decode(&s.Name)
		case "path":
			return d.Decode(&s.Path)
		case "config":
			configured = true
			return d.Decode(&s.Config)
		case "closed":
			return d.Decode(&closed)
		case "messages":
			if s.Name == "" || !configured || met {
				return errors.New("a stream's name and config do not come before its messages, or these come twice")
			}
			met = true
			var err error
			if wanted, err = v.begin(s); err != nil {
				return err
			}
			return eachElement(d, func() error { return readMessage(d, wanted, v.message) })
		}
		return skipValue(d)
	})
	switch {
	case err != nil && s.Name != "":
		return fmt.Errorf("stream %q: %w", s.Name, err)
	case err != nil:
		return err
	case !met:
		return fmt.Errorf("stream %q has no messages member", s.Name)
	case wanted:
		return v.end(closed || s.Config.CreatedClosed)
	}
	return nil
}

func readMessage(d *json.Decoder, wanted bool, take func([]byte) error) error {
	var m struct {
		Data *string `json:"data_base64"`
	}
	if err := d.Decode(&m); err != nil {
		return err
	}
	if m.Data == nil {
		return errors.New("a message has no data_base64")
	}
	if !wanted {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(*m.Data)
	if err != nil {
		return fmt.Errorf("data_base64: %w", err)
	}
	return take(data)
}

// eachMember calls value at the value of each member of an object.
func eachMember(d *json.Decoder, value func(name string) error) error {
	if err := wantDelim(d, '{'); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // a decoder takes nothing else there
		if err := value(name); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// eachElement calls element at each element of an array.
func eachElement(d *json.Decoder, element func() error) error {
	if err := wantDelim(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func wantDelim(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("want %v, found %v", want, t)
	}
	return nil
}

// skipValue passes over a value without holding it.
func skipValue(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
