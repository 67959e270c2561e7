package main

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"mainstem/cluster"
	"mainstem/operator"
)

// freeAddresses returns addresses of ports that were free a moment ago.
func freeAddresses(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

func statusOf(t *testing.T, addr string) (st cluster.Status) {
	t.Helper()
	code, body := get(t, "http://"+addr+operator.StatusPath)
	if code != http.StatusOK {
		return st
	}
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// TestThreeNodesFormOneClusterAndServeAnywhere is the whole product in one
// process: main three times, over real ports and disks.
func TestThreeNodesFormOneClusterAndServeAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("three nodes take seconds")
	}
	ports := freeAddresses(t, 9)
	clients, peers, gossip := ports[:3], ports[3:6], ports[6:]
	var nodes []*process
	for i, id := range []string{"a", "b", "c"} {
		nodes = append(nodes, launch(t, "serve", "--node-id", id, "--data-dir", t.TempDir(), "--addr", clients[i], "--peer-addr", peers[i],
			"--gossip-addr", gossip[i], "--join", strings.Join(gossip, ","), "--bootstrap-expect", "3"))
	}
	for _, addr := range clients {
		eventually(t, addr+" ready", func() bool { code, _ := get(t, "http://"+addr+"/readyz"); return code == http.StatusOK })
	}
	eventually(t, "everybody sees everybody", func() bool {
		st := statusOf(t, clients[0])
		return len(st.Members) == 3 && st.FailureTolerance == 1
	})
	url := func(i int) string { return "http://" + clients[i] + "/v1/stream/gid://app/Room/1" }
	mustDo(t, http.MethodPut, url(0), "text/plain", "", http.StatusCreated)
	for i, text := range []string{"x", "y", "z"} {
		mustDo(t, http.MethodPost, url(i), "text/plain", text, http.StatusNoContent)
		if code, body := get(t, url((i+1)%3)); code != http.StatusOK || !strings.HasSuffix(body, text) {
			t.Fatalf("written through node %d, read through the next: got %d %q, want it to end with %q", i, code, body, text)
		}
	}
	var sums []string
	eventually(t, "equal copies", func() bool {
		sums = sums[:0]
		for _, addr := range clients {
			code, body := get(t, "http://"+addr+operator.ChecksumPath)
			if code != http.StatusOK {
				t.Fatalf("checksum: got %d %q", code, body)
			}
			sums = append(sums, body)
		}
		return sums[0] == sums[1] && sums[1] == sums[2]
	})
	stopTheLeader(t, nodes, clients)
}

// stopTheLeader shows that a stop hands leadership over: the others serve on.
func stopTheLeader(t *testing.T, nodes []*process, clients []string) {
	t.Helper()
	leader := statusOf(t, clients[0]).Leader
	at := strings.Index("abc", leader)
	if leader == "" || at < 0 {
		t.Fatalf("got leader %q", leader)
	}
	nodes[at].signal()
	if code := nodes[at].exit(); code != 0 {
		t.Fatalf("the leader stopped with exit code %d", code)
	}
	rest := clients[(at+1)%3]
	mustDo(t, http.MethodPost, "http://"+rest+"/v1/stream/gid://app/Room/1", "text/plain", "!", http.StatusNoContent)
	if st := statusOf(t, rest); st.Leader == leader || st.Leader == "" {
		t.Fatalf("after the stop: got leader %q", st.Leader)
	}
}
