package settings

import (
	"os"
	"testing"
)

func TestConfigurationDocIsFresh(t *testing.T) {
	got, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Document() {
		t.Fatal("docs/configuration.md differs from the table of settings; run make docs")
	}
}

func TestTheTableIsSound(t *testing.T) {
	keys, flags := map[string]bool{}, map[string]bool{}
	for _, s := range Table() {
		if keys[s.key] || (s.flag != "" && flags[s.flag]) {
			t.Errorf("%s: the key or the flag --%s is there twice", s.key, s.flag)
		}
		keys[s.key], flags[s.flag] = true, true
		if s.usage == "" || (s.alias == "") != (s.value.put != nil) || (s.alias != "") != (s.value.rewrite != nil) {
			t.Errorf("%s: no usage or no value", s.key)
		}
		for _, text := range []string{s.std, s.dev} {
			if text == "" {
				continue
			}
			if err := s.value.put(new(Config), text); err != nil {
				t.Errorf("%s: default: %v", s.key, err)
			}
		}
	}
}

// TestFrozenNames: these may be added to, never changed; other people's unit
// files, charts and scripts hold them.
func TestFrozenNames(t *testing.T) {
	frozen := map[string]string{
		"addr": "DS_SERVER__BIND_ADDRESS", "data-dir": "DS_STORAGE__DATA_DIR", "node-id": "DS_CLUSTER__NODE_ID",
		"peer-addr": "DS_CLUSTER__PEER_ADDRESS", "gossip-addr": "DS_CLUSTER__GOSSIP_ADDRESS", "advertise-host": "DS_CLUSTER__ADVERTISE_HOST",
		"join": "DS_CLUSTER__JOIN", "bootstrap-expect": "DS_CLUSTER__BOOTSTRAP_EXPECT",
		"long-poll-timeout": "DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT", "sse-reconnect-interval": "DS_TRANSPORT__CONNECTION__SSE_RECONNECT_INTERVAL",
	}
	for _, s := range Table() {
		if want, ok := frozen[s.flag]; ok {
			if s.env() != want {
				t.Errorf("--%s: got %s, want %s", s.flag, s.env(), want)
			}
			delete(frozen, s.flag)
		}
	}
	if len(frozen) > 0 {
		t.Errorf("no longer there: %v", frozen)
	}
}
