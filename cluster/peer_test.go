package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestHandshakeRefusals(t *testing.T) {
	member := &Node{cfg: Config{NodeID: "n1"}, port: &port{}}
	member.id.Store(&Identity{NodeID: "n1", ClusterID: "A"})
	member.seat.Store(&seat{})
	fresh := &Node{cfg: Config{NodeID: "n1"}, port: &port{}}
	fresh.id.Store(&Identity{NodeID: "n1"})
	promised := &Node{cfg: Config{NodeID: "n1"}, port: &port{}}
	promised.id.Store(&Identity{NodeID: "n1"})
	if err := promised.grants.give(grantRequest{ClusterID: "A"}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		node  *Node
		hello hello
		want  string // a part of the refusal; "" for none
	}{
		"member to member":                          {member, hello{Kind: connRPC, ClusterID: "A", From: "n2", To: "n1"}, ""},
		"raft of a member":                          {member, hello{Kind: connRaft, ClusterID: "A", From: "n2"}, ""},
		"another cluster":                           {member, hello{Kind: connRPC, ClusterID: "B", From: "n2"}, "this node belongs to cluster A, the caller to cluster B"},
		"another cluster, raft":                     {member, hello{Kind: connRaft, ClusterID: "B", From: "n2"}, "cluster A"},
		"another cluster, admission":                {member, hello{Kind: connAdmission, ClusterID: "B", From: "n2"}, "cluster A"},
		"fresh asks for admission":                  {member, hello{Kind: connAdmission, From: "n2"}, ""},
		"fresh speaks raft":                         {member, hello{Kind: connRaft, From: "n2"}, "not a member"},
		"meant for another":                         {member, hello{Kind: connRaft, ClusterID: "A", From: "n2", To: "n3"}, `this is node "n1", not node "n3"`},
		"nameless":                                  {member, hello{Kind: connRPC, ClusterID: "A"}, "who it is"},
		"unknown kind":                              {member, hello{Kind: "smtp", ClusterID: "A", From: "n2"}, "smtp"},
		"raft to a fresh node":                      {fresh, hello{Kind: connRaft, ClusterID: "A", From: "n2"}, "not been admitted"},
		"rpc to a fresh node":                       {fresh, hello{Kind: connRPC, ClusterID: "A", From: "n2"}, "not been admitted"},
		"raft of another cluster than the promised": {promised, hello{Kind: connRaft, ClusterID: "B", From: "n2"}, "not been admitted"},
		"rpc does not admit":                        {promised, hello{Kind: connRPC, ClusterID: "A", From: "n2"}, "not been admitted"},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.node.judge(test.hello)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Fatalf("refusal %q, want %q", got, test.want)
			}
		})
	}
}

func TestHandshakeRefusesOtherVersionInASentence(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		out := append([]byte(handshakeMagic), handshakeVersion+1)
		client.Write(out)
	}()
	answer := make(chan welcome, 1)
	go func() {
		var w welcome
		readSized(client, &w)
		answer <- w
	}()
	if _, err := receive(server, func() welcome { return welcome{From: "n1"} }, func(hello) string { return "" }); err == nil {
		t.Fatal("a later version was accepted")
	}
	if w := <-answer; !strings.Contains(w.Refusal, "version 2") {
		t.Fatalf("refused with %q", w.Refusal)
	}
}

func TestGrantIsGivenToOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g grants
		a, b := grantRequest{ClusterID: "A", Minter: "n1"}, grantRequest{ClusterID: "B", Minter: "n2"}
		if err := g.give(a); err != nil {
			t.Fatal(err)
		}
		if err := g.give(b); err == nil {
			t.Fatal("two promises at a time")
		}
		time.Sleep(grantLife - time.Second)
		if err := g.give(b); err == nil || !g.stands("A") {
			t.Fatal("the promise did not last")
		}
		time.Sleep(2 * time.Second)
		if g.stands("A") {
			t.Fatal("the promise did not lapse")
		}
		if err := g.give(b); err != nil {
			t.Fatal(err)
		}
		g.release("A") // not the one that stands
		if !g.stands("B") {
			t.Fatal("another's release took the promise back")
		}
		g.release("B")
		if err := g.give(a); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRaftErrorsAreSortedByCertainty(t *testing.T) {
	for err, certain := range map[error]bool{
		raft.ErrNotLeader:                    true,
		raft.ErrLeadershipTransferInProgress: true,
		raft.ErrEnqueueTimeout:               true,
		raft.ErrLeadershipLost:               false,
		raft.ErrAbortedByRestore:             false,
		raft.ErrRaftShutdown:                 false,
		io.ErrUnexpectedEOF:                  false, // such as a disk that failed
	} {
		got := proposeError(err)
		if isNotProposed(got) != certain || errors.Is(got, ErrOutcomeUnknown) == certain {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestTypedLogFindsEntriesForTheMachine(t *testing.T) {
	store := raft.NewInmemStore()
	log := newTypedLog(store)
	kinds := []raft.LogType{raft.LogConfiguration, raft.LogNoop, raft.LogCommand, raft.LogCommand, raft.LogBarrier, raft.LogNoop, raft.LogConfiguration, raft.LogBarrier}
	for i, k := range kinds {
		if err := log.StoreLog(&raft.Log{Index: uint64(i + 1), Term: 1, Type: k}); err != nil {
			t.Fatal(err)
		}
	}
	want := []uint64{1, 1, 3, 4, 4, 4, 7, 7}
	for _, opened := range []*typedLog{log, newTypedLog(store)} { // with and without memory
		for i, w := range want {
			got, err := opened.lastForMachine(uint64(i + 1))
			if err != nil || got != w {
				t.Fatalf("at commit index %d: %d, %v; want %d", i+1, got, err, w)
			}
		}
	}
	if err := store.DeleteRange(1, 7); err != nil {
		t.Fatal(err)
	}
	if got, err := newTypedLog(store).lastForMachine(8); !errors.Is(err, errCompacted) {
		t.Fatalf("from a log without such entries: %d, %v", got, err)
	}
	if got, err := log.lastForMachine(8); err != nil || got != 7 {
		t.Fatalf("what was found once: %d, %v", got, err)
	}
}

func TestHintClaimsOnlyItsOwnTerm(t *testing.T) {
	q := hintRequest("n1", "n1:1", hint{Index: 42, Term: 7})
	if q.Term != 7 || q.PrevLogTerm != 7 || q.PrevLogEntry != 42 || q.LeaderCommitIndex != 42 || len(q.Entries) != 0 {
		t.Fatalf("%+v", q)
	}
	if string(q.ID) != "n1" || string(q.Addr) != "n1:1" || string(q.Leader) != "n1:1" || q.ProtocolVersion != raft.ProtocolVersionMax {
		t.Fatalf("%+v", q)
	}
}

// bufferedConn takes what is written at once, as a kernel does, and passes it on
// when the other side reads.
type bufferedConn struct {
	net.Conn
	queue chan []byte
}

func buffered(c net.Conn, g *group) *bufferedConn {
	b := &bufferedConn{c, make(chan []byte, 100)}
	g.spawn(func() {
		for p := range b.queue {
			c.Write(p) // an error shows at the reader
		}
	})
	return b
}

func (b *bufferedConn) Write(p []byte) (int, error) {
	b.queue <- bytes.Clone(p)
	return len(p), nil
}

// answering starts a served connection over a pipe and returns the caller's end.
func answering(t *testing.T, handle handler) (caller *rpcConn, drain func()) {
	near, far := net.Pipe()
	draining := make(chan struct{})
	s := &served{conn: far, kind: connRPC, handle: handle, writing: newTurn()}
	var g group
	g.spawn(func() { s.serve(t.Context(), draining) })
	out := buffered(near, &g)
	caller = newRPCConn(out)
	g.spawn(caller.read)
	t.Cleanup(func() {
		caller.fail(errConnClosed)
		close(out.queue)
		g.wait()
	})
	return caller, func() { close(draining) }
}

func TestCallsShareAConnection(t *testing.T) {
	caller, _ := answering(t, func(_ context.Context, _ byte, body []byte) ([]byte, error) {
		time.Sleep(time.Duration(body[0]%7) * time.Millisecond) // answers come in another order
		return bytes.Clone(body), nil
	})
	var g group
	for i := range byte(100) {
		g.spawn(func() {
			f, err := caller.call(t.Context(), methodBatch, []byte{i})
			if err != nil || len(f.body) != 1 || f.body[0] != i {
				t.Errorf("call %d was answered %v, %v", i, f, err)
			}
		})
	}
	g.wait()
}

func TestDrainedConnectionSaysWhatItDidNotLookAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		caller, drain := answering(t, func(context.Context, byte, []byte) ([]byte, error) {
			<-release
			return []byte("done"), nil
		})
		first := make(chan error, 1)
		go func() {
			f, err := caller.call(t.Context(), methodBatch, []byte("x"))
			if err == nil {
				_, err = unpack(f)
			}
			first <- err
		}()
		synctest.Wait() // it has been read
		drain()
		synctest.Wait()
		second := make(chan error, 1)
		go func() {
			f, err := caller.call(t.Context(), methodBatch, []byte("y"))
			if err == nil {
				_, err = unpack(f)
			}
			second <- err
		}()
		synctest.Wait()
		close(release)
		if err := <-first; err != nil {
			t.Fatalf("a request that had been read: %v", err)
		}
		if err := <-second; !isNotProposed(err) {
			t.Fatalf("a request that had not: %v", err)
		}
	})
}

func TestBrokenConnectionLeavesTheOutcomeOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, _ := answering(t, func(ctx context.Context, _ byte, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, nil
		})
		got := make(chan error, 1)
		go func() {
			_, err := caller.call(t.Context(), methodBatch, []byte("x"))
			got <- err
		}()
		synctest.Wait()
		caller.conn.Close()
		if err := <-got; err == nil || isNotProposed(err) {
			t.Fatalf("answered %v", err)
		}
		if _, err := caller.call(t.Context(), methodBatch, nil); !isNotProposed(err) {
			t.Fatalf("on a connection known to be broken: %v", err)
		}
	})
}

func TestFrameLimits(t *testing.T) {
	head := make([]byte, frameHeaderLen)
	for name, n := range map[string]uint32{"too long": frameBytesMax + 1, "too short": 8, "absurd": 1<<32 - 1} {
		t.Run(name, func(t *testing.T) {
			binary.BigEndian.PutUint32(head, n)
			if _, err := readFrame(bytes.NewReader(head)); !errors.Is(err, errFrameTooLarge) {
				t.Fatalf("%v", err)
			}
		})
	}
	binary.BigEndian.PutUint32(head, frameBytesMax) // announced, but it never comes
	allocated := testing.AllocsPerRun(1, func() {
		if _, err := readFrame(bytes.NewReader(head)); err == nil {
			t.Fatal("a frame that is not there was read")
		}
	})
	if allocated > 20 {
		t.Fatalf("%v allocations", allocated)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{}, uint64(0), byte(0))
	f.Add([]byte("body"), uint64(7), byte(3))
	f.Fuzz(func(t *testing.T, body []byte, id uint64, code byte) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go writeFrame(near, frame{id: id, code: code, body: body})
		got, err := readFrame(far)
		if err != nil || got.id != id || got.code != code || !bytes.Equal(got.body, body) {
			t.Fatalf("%+v, %v", got, err)
		}
		readFrame(bytes.NewReader(body)) // must not panic
	})
}
