package stream

// Payload is what one append adds, as the bytes a reader will get ("wire
// bytes"): for JSON each message is followed by a comma, so that a range of
// them becomes an array without parsing.
type Payload struct {
	Data []byte
	// Messages holds the length of each JSON message, its comma included. It is
	// nil for other content, which has no messages inside an append.
	Messages []uint32
	// Raw says that Data is a body as it was sent, to be framed by the rules
	// because only they know its content type: a fork that inherits one.
	Raw bool
}

// Empty reports a payload that appends nothing.
func (p Payload) Empty() bool { return len(p.Data) == 0 }

// Frame brings a request body into wire form. The payload may keep body. An
// empty JSON array gives an empty payload (§9.1.3); whether that is allowed is
// the caller's to say.
func Frame(t ContentType, body []byte) (Payload, error) {
	if !t.JSON() || len(body) == 0 {
		return Payload{Data: body}, nil
	}
	return frameJSON(body)
}
