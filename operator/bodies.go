package operator

// TokenVariable is the variable that holds the token by which operators are known:
// a node's setting, and what commands send.
const TokenVariable = "DS_CLUSTER__ADMIN_TOKEN"

// Change is the body of a request to join or to hand leadership over.
type Change struct {
	Address string `json:"address,omitempty"` // gossip address of the cluster to join
	To      string `json:"to,omitempty"`      // who shall lead; "" for anybody else
}

// Config is what a node runs with, as it tells operators.
type Config struct {
	NodeID   string    `json:"node_id"`
	Version  string    `json:"version"`
	Profile  string    `json:"profile"`
	Settings []Setting `json:"settings"`
}

// Setting is one setting for people, without what is secret.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"` // what set it, as a person would name it
}
