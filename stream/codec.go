package stream

import (
	"encoding/binary"
	"fmt"
)

// Flags of encoded commands. A decoder refuses a flag it does not know.
const (
	flagClose = 1 << iota
	flagProducer
	flagFork
	flagForkOffset
	flagRaw
	flagIfMatch
	flagRetention
	flagsKnown = 1<<iota - 1
)

// AppendCommand appends the one wire form of c to b: what a node forwards and
// what enters the log are the same bytes.
func AppendCommand(b []byte, c Command) []byte {
	b = append(b, byte(c.kind()))
	b = appendBytes(b, c.target())
	switch c := c.(type) {
	case Create:
		return appendCreate(b, c)
	case Append:
		return appendAppend(b, c)
	case Delete, Touch, Expire, OpenSession:
		return b
	case Mark:
		b = appendBytes(b, c.From)
		return binary.AppendUvarint(b, c.Bytes)
	case Control:
		return appendBytes(b, c.Body)
	case Trim:
		if c.To == nil {
			return append(b, 0)
		}
		return appendOffset(append(b, 1), *c.To)
	}
	panic(fmt.Sprintf("stream: no encoding for %T", c))
}

// DecodeCommand is the inverse of AppendCommand. Payloads point into b.
func DecodeCommand(b []byte) (Command, error) {
	d := decoder{b: b}
	k, name := kind(d.byte()), Name(d.string())
	var c Command
	switch k {
	case kindCreate:
		c = d.create(name)
	case kindAppend:
		c = d.append(name)
	case kindDelete:
		c = Delete{name}
	case kindTouch:
		c = Touch{name}
	case kindExpire:
		c = Expire{name}
	case kindOpenSession:
		c = OpenSession{}
	case kindMark:
		c = Mark{From: d.string(), Bytes: d.uvarint()}
	case kindControl:
		c = Control{Body: d.bytes()}
	case kindTrim:
		c = d.trim(name)
	default:
		return nil, fmt.Errorf("stream: command kind %d is unknown to this version of mainstem; start the version that wrote it, or upgrade this node", k)
	}
	return c, d.done()
}

func appendCreate(b []byte, c Create) []byte {
	var flags byte
	if c.Closed {
		flags |= flagClose
	}
	if c.Body.Raw {
		flags |= flagRaw
	}
	if c.Fork != nil {
		flags |= flagFork
		if c.Fork.Offset != nil {
			flags |= flagForkOffset
		}
	}
	if !c.Retention.IsNone() {
		flags |= flagRetention
	}
	b = append(b, flags)
	b = appendBytes(b, c.ContentType)
	b = appendLifetime(b, c.Lifetime)
	if !c.Retention.IsNone() {
		b = appendRetention(b, c.Retention)
	}
	if f := c.Fork; f != nil {
		b = appendBytes(b, f.Source)
		if f.Offset != nil {
			b = appendOffset(b, *f.Offset)
		}
		b = binary.AppendUvarint(b, f.SubOffset)
	}
	return appendPayload(b, c.Body)
}

func (d *decoder) create(name Name) Create {
	flags := d.flags()
	c := Create{Name: name, Closed: flags&flagClose != 0}
	c.ContentType = d.contentType()
	c.Lifetime = d.lifetime()
	if flags&flagRetention != 0 {
		c.Retention = d.retention()
	}
	if flags&flagFork != 0 {
		c.Fork = &Fork{Source: Name(d.string())}
		if flags&flagForkOffset != 0 {
			at := d.offset()
			c.Fork.Offset = &at
		}
		c.Fork.SubOffset = d.uvarint()
	}
	c.Body = d.payload()
	c.Body.Raw = flags&flagRaw != 0
	return c
}

func appendAppend(b []byte, c Append) []byte {
	var flags byte
	if c.Close {
		flags |= flagClose
	}
	if c.Producer != nil {
		flags |= flagProducer
	}
	if c.IfMatch != nil {
		flags |= flagIfMatch
	}
	b = append(b, flags)
	b = appendBytes(b, c.ContentType)
	b = appendBytes(b, c.Seq)
	if c.IfMatch != nil {
		b = appendOffset(b, *c.IfMatch)
	}
	if p := c.Producer; p != nil {
		b = appendBytes(b, p.ID)
		b = binary.AppendUvarint(b, p.Epoch)
		b = binary.AppendUvarint(b, p.Seq)
	}
	return appendPayload(b, c.Body)
}

func (d *decoder) append(name Name) Append {
	flags := d.flags()
	c := Append{Name: name, Close: flags&flagClose != 0}
	c.ContentType = d.contentType()
	c.Seq = d.string()
	if flags&flagIfMatch != 0 {
		at := d.offset()
		c.IfMatch = &at
	}
	if flags&flagProducer != 0 {
		c.Producer = &Producer{ID: d.string(), Epoch: d.uvarint(), Seq: d.uvarint()}
	}
	c.Body = d.payload()
	return c
}

func (d *decoder) trim(name Name) Trim {
	switch d.byte() {
	case 0:
		return Trim{Name: name}
	case 1:
		to := d.offset()
		return Trim{Name: name, To: &to}
	}
	d.fail()
	return Trim{}
}

func (d *decoder) flags() byte {
	f := d.byte()
	if f&^flagsKnown != 0 {
		d.fail()
	}
	return f
}
