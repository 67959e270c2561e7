package cluster_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
	"mainstem/test/harness"
)

// gossipKey is a key of 32 equal bytes.
func gossipKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func inBase64(b byte) string { return base64.StdEncoding.EncodeToString(gossipKey(b)) }

func fingerprints(keys ...byte) (list []string) {
	for _, b := range keys {
		list = append(list, cluster.Fingerprint(gossipKey(b)))
	}
	return list
}

func newKeyring(t *testing.T, save func(cluster.KeyringState) error, keys ...byte) *cluster.Keyring {
	t.Helper()
	var state cluster.KeyringState
	for _, b := range keys {
		state.Keys = append(state.Keys, gossipKey(b))
	}
	k, err := cluster.NewKeyring(cluster.KeyringConfig{State: state, Save: save})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestMistakesInTheFileOfGossipKeysAreNamedWithoutTheKey(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"sound":    {"# the first encrypts\n\n" + inBase64('a') + "\n  " + inBase64('b'), ""},
		"empty":    {"# none\n", "0 keys of gossip"},
		"short":    {inBase64('a') + "\nc2hvcnQ=\n", "line 2: a key of gossip is 16, 24 or 32 bytes in base64"},
		"no text":  {"swordfish!\n", "line 1"},
		"repeated": {inBase64('a') + "\n" + inBase64('a'), "key 2 of gossip is there twice"},
	} {
		keys, err := cluster.ParseGossipKeys([]byte(c.file))
		switch {
		case c.want == "":
			if err != nil || len(keys) != 2 {
				t.Errorf("%s: got %d keys, %v", name, len(keys), err)
			}
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		case strings.Contains(err.Error(), "swordfish") || strings.Contains(err.Error(), inBase64('a')):
			t.Errorf("%s: the error shows what is in the file: %v", name, err)
		}
	}
}

// keyed gives the nodes of a cluster keyrings that outlive them.
type keyed struct {
	mu    sync.Mutex // guards kept
	kept  map[string]cluster.KeyringState
	first byte
	fail  map[string]error // of saving
}

func newKeyed(first byte) *keyed {
	return &keyed{kept: map[string]cluster.KeyringState{}, first: first, fail: map[string]error{}}
}

func (k *keyed) options(t *testing.T) clustertest.Options {
	o := options()
	o.Config = func(id string, cfg *cluster.Config) {
		state, known := k.kept[id]
		if !known {
			state = cluster.KeyringState{Keys: [][]byte{gossipKey(k.first)}}
		}
		ring, err := cluster.NewKeyring(cluster.KeyringConfig{State: state, Save: func(s cluster.KeyringState) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.fail[id] == nil {
				k.kept[id] = s
			}
			return k.fail[id]
		}})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Keyring = ring
	}
	return o
}

func addKey(b byte) cluster.KeyChange {
	return cluster.KeyChange{Do: cluster.KeyAdd, Key: gossipKey(b)}
}

func keyNamed(do string, b byte) cluster.KeyChange {
	return cluster.KeyChange{Do: do, Fingerprint: cluster.Fingerprint(gossipKey(b))}
}

// wantKeys wants every node that is listed to have these keys, in this order.
func wantKeys(t *testing.T, m *clustertest.Member, nodes []string, keys ...byte) {
	t.Helper()
	list, err := m.Keyrings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range list {
		if one.Error == "" {
			got = append(got, one.NodeID)
			if !slices.Equal(one.Keys, fingerprints(keys...)) {
				t.Errorf("%s has keys %v, want %v", one.NodeID, one.Keys, fingerprints(keys...))
			}
		}
	}
	if !slices.Equal(got, nodes) {
		t.Errorf("got the keys of %v, want those of %v", got, nodes)
	}
}

// TestKeysAreChangedOnEveryMember, through any of them, and kept.
func TestKeysAreChangedOnEveryMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed('a')
		c := clustertest.Of(t, 3, k.options(t))
		all := c.IDs()
		for _, step := range []struct {
			change cluster.KeyChange
			want   string
		}{
			{addKey('b'), "ab"},
			{addKey('b'), "ab"}, // again: it is there
			{addKey('c'), "abc"},
			{keyNamed(cluster.KeyUse, 'b'), "bac"},
			{keyNamed(cluster.KeyRemove, 'a'), "bc"},
			{keyNamed(cluster.KeyRemove, 'a'), "bc"}, // again: it is gone
			{keyNamed(cluster.KeyUse, 'c'), "cb"},
		} {
			if err := c.Follower().ChangeKeys(t.Context(), step.change); err != nil {
				t.Fatalf("%s: %v", step.change.Do, err)
			}
			wantKeys(t, c.Follower(), all, []byte(step.want)...)
		}
		for _, id := range all {
			if got := k.kept[id].Keys; len(got) != 2 || !bytes.Equal(got[0], gossipKey('c')) {
				t.Errorf("%s has kept %d keys, want c and b", id, len(got))
			}
		}
		c.Close()
	})
}

// TestAMemberThatWasAwayIsToldOfTheKeys when it is back, also by a leader that was
// not told itself.
func TestAMemberThatWasAwayIsToldOfTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, newKeyed('a').options(t))
		leader := c.WaitLeader(c.IDs()...)
		away := c.Follower().ID
		c.Stop(away)
		if err := leader.ChangeKeys(t.Context(), addKey('b')); err != nil {
			t.Fatal(err)
		}
		if err := leader.ChangeKeys(t.Context(), keyNamed(cluster.KeyUse, 'b')); err != nil {
			t.Fatal(err)
		}
		wantKeys(t, leader, c.IDs(), 'b', 'a')
		all := []string{"n1", "n2", "n3"}
		c.Start(away, 3, all...)
		c.WaitReady(all...)
		time.Sleep(3 * time.Second)
		wantKeys(t, leader, all, 'b', 'a')

		// The leader and who hears of a change go, one after the other, before the
		// third has heard of it.
		c.Net.Isolate(away, all...)
		if err := leader.ChangeKeys(t.Context(), addKey('c')); err != nil {
			t.Fatal(err)
		}
		c.Stop(leader.ID)
		c.Net.Heal()
		next := c.WaitLeader(c.IDs()...)
		if err := next.ChangeKeys(t.Context(), addKey('d')); err != nil {
			t.Fatal(err)
		}
		wantKeys(t, next, c.IDs(), 'b', 'a', 'c', 'd')
		c.Start(leader.ID, 3, all...)
		c.WaitReady(all...)
		time.Sleep(3 * time.Second)
		wantKeys(t, next, all, 'b', 'a', 'c', 'd')
		c.Close()
	})
}

// TestAChangeOfKeysIsRefusedInASentence, and changes nothing.
func TestAChangeOfKeysIsRefusedInASentence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyed('a')
		c := clustertest.Of(t, 3, k.options(t))
		for name, try := range map[string]struct {
			change cluster.KeyChange
			want   string
		}{
			"short":        {cluster.KeyChange{Do: cluster.KeyAdd, Key: []byte("short")}, "16, 24 or 32 bytes"},
			"unknown":      {keyNamed(cluster.KeyUse, 'x'), "add the key first"},
			"in use":       {keyNamed(cluster.KeyRemove, 'a'), "use another first"},
			"another verb": {cluster.KeyChange{Do: "rotate"}, `not by "rotate"`},
		} {
			err := c.Follower().ChangeKeys(t.Context(), try.change)
			if !cluster.Refused(err) || !strings.Contains(err.Error(), try.want) {
				t.Errorf("%s: got %v, want %q", name, err, try.want)
			}
		}
		leader := c.WaitLeader(c.IDs()...)
		k.fail[leader.ID] = errors.New("no space")
		if err := c.Follower().ChangeKeys(t.Context(), addKey('b')); err == nil || !strings.Contains(err.Error(), "no space") {
			t.Errorf("got %v, want that the leader could not keep it", err)
		}
		wantKeys(t, leader, c.IDs(), 'a')
		c.Close()
	})
	plain := clustertest.Options{}
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 1, plain)
		if err := c.Node("n1").ChangeKeys(t.Context(), addKey('b')); !cluster.Refused(err) || !strings.Contains(err.Error(), "cluster.gossip_encryption = off") {
			t.Errorf("got %v, want that gossip is not encrypted", err)
		}
		c.Close()
	})
}

func TestKeysOfAFileCountUntilACommandChangesThem(t *testing.T) {
	k := newKeyring(t, nil, 'a')
	if err := k.Configure([][]byte{gossipKey('b'), gossipKey('a')}); err != nil {
		t.Fatal(err)
	}
	if got := k.State().Keys; len(got) != 2 || !bytes.Equal(got[0], gossipKey('b')) {
		t.Fatalf("%d keys, want b and a", len(got))
	}
	for name, keys := range map[string][][]byte{"none": nil, "short": {[]byte("x")}, "twice": {gossipKey('a'), gossipKey('a')}} {
		if err := k.Configure(keys); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	changed, err := cluster.NewKeyring(cluster.KeyringConfig{State: cluster.KeyringState{Term: 3, Serial: 1, Keys: [][]byte{gossipKey('c')}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := changed.Configure([][]byte{gossipKey('d')}); err != nil || !bytes.Equal(changed.State().Keys[0], gossipKey('c')) {
		t.Errorf("a file overrode what a command had changed: %v", err)
	}
}

// TestTheRingHoldsTheKeysOfTheState: who encrypts is first, what was removed reads
// nothing any more, and nothing moves under those who read meanwhile.
func TestTheRingHoldsTheKeysOfTheState(t *testing.T) {
	k := newKeyring(t, nil, 'a')
	stop := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if keys := k.RingKeys(); len(keys) == 0 || len(slices.Compact(slices.Sorted(slices.Values(keys)))) != len(keys) {
				t.Errorf("a reader saw %v", keys)
				return
			}
		}
	})
	for range 50 {
		for _, keys := range []string{"ab", "abc", "bac", "ba", "bad", "d", "da", "dacb", "b", "a"} {
			var next [][]byte
			for _, b := range []byte(keys) {
				next = append(next, gossipKey(b))
			}
			if err := k.Configure(next); err != nil {
				t.Fatal(err)
			}
			got, want := k.RingKeys(), fingerprints([]byte(keys)...)
			if got[0] != want[0] || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
				t.Fatalf("the ring holds %v, want %v", got, want)
			}
		}
	}
	close(stop)
	reading.Wait()
}

// gossiper is real gossip on loopback.
type gossiper struct {
	*cluster.Gossip
	me  cluster.Peer
	log *loudLog
}

func startGossip(t *testing.T, id string, encryption cluster.Encryption, ring *cluster.Keyring) *gossiper {
	t.Helper()
	g := &gossiper{log: &loudLog{}, me: cluster.Peer{NodeID: id, PeerAddr: id + ":1", HTTPAddr: "first"}}
	var err error
	g.Gossip, err = cluster.NewGossip(cluster.GossipConfig{NodeID: id, Bind: "127.0.0.1:0", Encryption: encryption, Keyring: ring,
		Log: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("close gossip of %s: %v", id, err)
		}
	})
	return g
}

// meets makes one seek the other, and change what it says afterwards: the first
// goes over TCP, the second over UDP, long before TCP repeats it.
func (g *gossiper) meets(t *testing.T, other *gossiper, want bool) {
	t.Helper()
	for _, one := range []*gossiper{g, other} {
		if err := one.Start(one.me, []string{other.GossipAddr()}); err != nil {
			t.Fatal(err)
		}
	}
	if !want {
		return
	}
	saw := func(one, of *gossiper, http string) {
		t.Helper()
		harness.Eventually(t, 15*time.Second, one.me.NodeID+" hears "+http, func() error {
			for _, p := range one.Peers() {
				if p.NodeID == of.me.NodeID && p.HTTPAddr == http {
					return nil
				}
			}
			return fmt.Errorf("it knows %+v", one.Peers())
		})
	}
	saw(g, other, "first")
	saw(other, g, "first")
	for _, one := range []*gossiper{g, other} {
		one.me.HTTPAddr = "second"
		if err := one.Publish(one.me); err != nil {
			t.Fatal(err)
		}
	}
	saw(g, other, "second")
	saw(other, g, "second")
}

func TestKindsOfEncryptionThatStandBesideEachOtherUnderstandEachOther(t *testing.T) {
	order := []cluster.Encryption{cluster.EncryptionOff, cluster.EncryptionAccept, cluster.EncryptionSend, cluster.EncryptionRequired}
	for i, one := range order {
		for _, other := range order[i:min(i+2, len(order))] {
			t.Run(string(one)+" and "+string(other), func(t *testing.T) {
				t.Parallel()
				ring := func(e cluster.Encryption) *cluster.Keyring {
					if e == cluster.EncryptionOff {
						return nil
					}
					return newKeyring(t, nil, 'a')
				}
				a, b := startGossip(t, "a", one, ring(one)), startGossip(t, "b", other, ring(other))
				a.meets(t, b, true)
				if said := a.log.String() + b.log.String(); strings.Contains(said, "cannot be read") {
					t.Errorf("warned: %s", said)
				}
			})
		}
	}
}

// TestGossipThatCannotBeReadIsToldOnceWithWhatToDo.
func TestGossipThatCannotBeReadIsToldOnceWithWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		one, other cluster.Encryption
		keys       string // of the two
		want       string // in the log of the other
	}{
		"keys that differ":   {cluster.EncryptionRequired, cluster.EncryptionRequired, "ab", "a key that this node does not have"},
		"plain to required":  {cluster.EncryptionOff, cluster.EncryptionRequired, "aa", "it is not encrypted, and this node takes nothing else"},
		"encrypted to plain": {cluster.EncryptionRequired, cluster.EncryptionOff, "aa", "this node has no keys (cluster.gossip_encryption = off)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startGossip(t, "a", c.one, newKeyring(t, nil, c.keys[0]))
			b := startGossip(t, "b", c.other, newKeyring(t, nil, c.keys[1]))
			a.meets(t, b, false)
			harness.Eventually(t, 15*time.Second, "a sentence", func() error {
				if !strings.Contains(b.log.String(), c.want) {
					return fmt.Errorf("the log says %q", b.log.String())
				}
				return nil
			})
			time.Sleep(2500 * time.Millisecond) // it seeks again every two seconds
			if !strings.Contains(b.log.String(), "from=127.0.0.1 ") {
				t.Errorf("it does not say whose: %s", b.log.String())
			}
			if n := strings.Count(b.log.String(), c.want); n != 1 {
				t.Errorf("told %d times, want once: %s", n, b.log.String())
			}
			if len(a.Peers())+len(b.Peers()) > 0 {
				t.Errorf("they know each other: %v, %v", a.Peers(), b.Peers())
			}
		})
	}
}

// TestKeysAreChangedUnderLivingGossip: nobody is lost on the way.
func TestKeysAreChangedUnderLivingGossip(t *testing.T) {
	t.Parallel()
	ringA, ringB := newKeyring(t, nil, 'a'), newKeyring(t, nil, 'a')
	a, b := startGossip(t, "a", cluster.EncryptionRequired, ringA), startGossip(t, "b", cluster.EncryptionRequired, ringB)
	a.meets(t, b, true)
	for _, keys := range []string{"ab", "ba", "b"} {
		for _, ring := range []*cluster.Keyring{ringA, ringB} {
			var next [][]byte
			for _, k := range []byte(keys) {
				next = append(next, gossipKey(k))
			}
			if err := ring.Configure(next); err != nil {
				t.Fatal(err)
			}
			if keys == "ab" || ring == ringA {
				continue // nothing is encrypted with another key yet, or some is on its way
			}
			a.me.HTTPAddr += "+"
			if err := a.Publish(a.me); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, 15*time.Second, "news with keys "+keys, func() error {
				if p := b.Peers(); len(p) != 1 || p[0].HTTPAddr != a.me.HTTPAddr {
					return fmt.Errorf("b knows %+v", p)
				}
				return nil
			})
		}
	}
	if said := a.log.String() + b.log.String(); strings.Contains(said, "cannot be read") {
		t.Errorf("warned: %s", said)
	}
}
