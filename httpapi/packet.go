package httpapi

import "strconv"

// bufferBytesKept is the largest buffer of a packet that is kept for reuse.
const bufferBytesKept = 256 << 10

// packet is text on its way to a reader, with the framing of a chunk of HTTP/1.1
// (RFC 9112 §7.1) around it for those connections that are written to directly.
type packet struct {
	chunk []byte  // its size, CRLF, the text, CRLF
	head  int     // length of the first two
	room  *[]byte // the buffer that it lies in, from Server.buffers; nil when others may read it too
}

func (p *packet) text() []byte { return p.chunk[p.head : len(p.chunk)-len(crlf)] }

const (
	crlf       = "\r\n"
	packetHead = 16 // room for the size of the longest text in hexadecimal, and CRLF
	packetRoom = packetHead + len(crlf)
)

// lastChunk ends a body in chunks.
var lastChunk = packet{chunk: []byte("0" + crlf + crlf), head: len("0" + crlf)}

// comment keeps a connection alive. It is a line of its own and no event.
var comment = newPacket(make([]byte, packetHead, packetRoom+2), func(b []byte) []byte { return append(b, ":\n"...) })

// newPacket makes a packet of the text that appendTo appends to b, which holds
// packetHead bytes to begin with.
func newPacket(b []byte, appendTo func([]byte) []byte) packet {
	b = appendTo(b)
	var size [packetHead]byte
	digits := strconv.AppendUint(size[:0], uint64(len(b)-packetHead), 16)
	start := packetHead - len(crlf) - len(digits)
	copy(b[start:], digits)
	copy(b[packetHead-len(crlf):], crlf)
	b = append(b, crlf...)
	return packet{chunk: b[start:], head: packetHead - start}
}

// newBuffer makes a buffer for packets.
func newBuffer() any {
	b := make([]byte, packetHead, 1<<10)
	return &b
}

// pack makes a packet in a buffer of its own, to be given back by unpack.
func (s *Server) pack(appendTo func([]byte) []byte) packet {
	room := s.buffers.Get().(*[]byte)
	b := appendTo((*room)[:packetHead])
	if cap(b) <= bufferBytesKept {
		*room = b
	}
	p := newPacket(b, func(b []byte) []byte { return b })
	p.room = room
	return p
}

// unpack takes back the buffer of a packet that nobody reads any more.
func (s *Server) unpack(p packet) {
	if p.room != nil {
		s.buffers.Put(p.room)
	}
}
