package deliver

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers every name with the addresses of the moment.
type nameServer struct {
	addresses atomic.Pointer[[]netip.Addr]
	asked     atomic.Int64
}

func serveNames(addresses ...string) *nameServer {
	s := &nameServer{}
	s.answer(addresses...)
	return s
}

func (s *nameServer) answer(addresses ...string) {
	var list []netip.Addr
	for _, a := range addresses {
		list = append(list, netip.MustParseAddr(a))
	}
	s.addresses.Store(&list)
}

// resolver speaks to it over a pipe, which the library takes for TCP.
func (s *nameServer) resolver(t *testing.T) *net.Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			for s.serve(t, theirs) {
			}
		}()
		return ours, nil
	}}
}

func (s *nameServer) serve(t *testing.T, conn net.Conn) (more bool) {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return false
	}
	raw := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, raw); err != nil {
		return false
	}
	var query dnsmessage.Message
	if err := query.Unpack(raw); err != nil || len(query.Questions) != 1 {
		t.Errorf("not a query: %v", err)
		return false
	}
	q := query.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true}, Questions: query.Questions}
	for _, a := range *s.addresses.Load() {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	s.asked.Add(1)
	packed, err := reply.Pack()
	if err != nil {
		t.Errorf("pack a reply: %v", err)
		return false
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
	return err == nil
}
