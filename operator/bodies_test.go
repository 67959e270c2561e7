package operator_test

import (
	"encoding/json"
	"testing"

	"mainstem/operator"
)

// TestWhatTravelsKeepsItsNames: a command and a node may be of two versions.
func TestWhatTravelsKeepsItsNames(t *testing.T) {
	for want, body := range map[string]any{
		`{}`:                operator.Change{},
		`{"address":"h:1"}`: operator.Change{Address: "h:1"},
		`{"to":"b"}`:        operator.Change{To: "b"},
		`{"node_id":"a","version":"v1","profile":"prod","settings":[{"key":"k","value":"v","source":"--k"}]}`: operator.Config{
			NodeID: "a", Version: "v1", Profile: "prod", Settings: []operator.Setting{{Key: "k", Value: "v", Source: "--k"}}},
	} {
		got, err := json.Marshal(body)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}
