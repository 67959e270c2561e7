package cluster

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Each connection to the peer port begins with
//
//	"mainstem" | u8 version | u16 length | hello as JSON
//
// and is answered by u16 length | welcome as JSON. After it the connection
// belongs to raft, or carries frames.
const (
	handshakeMagic   = "mainstem"
	handshakeVersion = 1

	tlsHandshake = 0x16 // begins a connection of TLS

	handshakeTimeout  = 3 * time.Second
	handshakeBytesMax = 4096
)

// connKind says what a connection is for.
type connKind string

const (
	connRaft      connKind = "raft"      // raft's own transport, members only
	connRPC       connKind = "rpc"       // frames between members
	connAdmission connKind = "admission" // frames with nodes that are not members yet
)

// hello introduces the one who dials.
type hello struct {
	Kind      connKind `json:"kind"`
	ClusterID string   `json:"cluster,omitempty"`
	From      string   `json:"from"`
	To        string   `json:"to,omitempty"` // who was meant; "" when not known
}

// welcome is the answer. Refusal is a sentence, "" when there is none.
type welcome struct {
	Refusal   string `json:"refusal,omitempty"`
	ClusterID string `json:"cluster,omitempty"`
	From      string `json:"from"`
}

// refusedError is a peer's refusal to talk.
type refusedError struct{ peer, cluster, sentence string }

func (e *refusedError) Error() string {
	return fmt.Sprintf("node %q refused the connection: %s", e.peer, e.sentence)
}

// greet performs the dialling side.
func greet(c net.Conn, h hello) error {
	_, err := introduce(c, h)
	return err
}

// introduce is greet for one who wants to know whom it met, refused or not.
func introduce(c net.Conn, h hello) (w welcome, err error) {
	c.SetDeadline(time.Now().Add(handshakeTimeout))
	defer c.SetDeadline(time.Time{})
	b, err := json.Marshal(h)
	if err != nil {
		return w, fmt.Errorf("encode hello: %w", err)
	}
	out := append([]byte(handshakeMagic), handshakeVersion)
	out = binary.BigEndian.AppendUint16(out, uint16(len(b)))
	if _, err := c.Write(append(out, b...)); err != nil {
		return w, fmt.Errorf("send hello: %w", err)
	}
	if err := readSized(c, &w); err != nil {
		return w, fmt.Errorf("read welcome: %w", err)
	}
	if w.Refusal != "" {
		return w, &refusedError{peer: w.From, cluster: w.ClusterID, sentence: w.Refusal}
	}
	return w, nil
}

// receive performs the accepting side. judge returns a refusal, or "".
func receive(c net.Conn, me func() welcome, judge func(hello) string) (hello, error) {
	c.SetDeadline(time.Now().Add(handshakeTimeout))
	defer c.SetDeadline(time.Time{})
	head := make([]byte, len(handshakeMagic)+1)
	if _, err := io.ReadFull(c, head); err != nil {
		return hello{}, fmt.Errorf("read hello: %w", err)
	}
	if head[0] == tlsHandshake {
		return hello{}, errors.New("the caller speaks TLS, and this node does not (cluster.tls.mode = off)")
	}
	if string(head[:len(handshakeMagic)]) != handshakeMagic {
		return hello{}, errors.New("the caller does not speak mainstem's peer protocol")
	}
	var h hello
	var refusal string
	if v := head[len(handshakeMagic)]; v != handshakeVersion {
		refusal = fmt.Sprintf("this node speaks version %d of the peer protocol, the caller version %d; upgrade the older one", handshakeVersion, v)
	} else if err := readSized(c, &h); err != nil {
		return hello{}, fmt.Errorf("read hello: %w", err)
	} else {
		refusal = judge(h)
	}
	w := me()
	w.Refusal = refusal
	b, err := json.Marshal(w)
	if err != nil {
		return h, fmt.Errorf("encode welcome: %w", err)
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
		return h, fmt.Errorf("send welcome: %w", err)
	}
	if refusal != "" {
		return h, errors.New(refusal)
	}
	return h, nil
}

func readSized(r io.Reader, v any) error {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > handshakeBytesMax {
		return fmt.Errorf("%d bytes are more than a handshake may have", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
