package settings

import (
	"fmt"

	"mainstem/cluster"
)

// Gossip is how gossip is encrypted.
type Gossip struct {
	Encryption string
	KeyPath    string
}

// Off reports that gossip is not encrypted.
func (g Gossip) Off() bool {
	return g.Encryption == "" || g.Encryption == string(cluster.EncryptionOff)
}

func gossipSettings() []setting {
	return []setting{
		{key: "cluster.gossip_encryption", flag: "gossip-encryption", std: string(cluster.EncryptionOff), only: Serve,
			value: choice(func(c *Config) *string { return &c.Cluster.Gossip.Encryption }, string(cluster.EncryptionOff),
				string(cluster.EncryptionAccept), string(cluster.EncryptionSend), string(cluster.EncryptionRequired)),
			usage: "whether gossip is encrypted: off; accept, sent plain and taken either way; send, sent encrypted and taken either way; or required. Go from one to the next, in this order, by restarting the nodes in turn"},
		{key: "cluster.gossip_key_path", flag: "gossip-keys", only: Serve,
			value: text(func(c *Config) *string { return &c.Cluster.Gossip.KeyPath }),
			usage: "file of the keys of gossip, one a line, in base64 (`mainstem cluster keyring generate` makes one): the first encrypts, all decrypt; read again when it changes. Once the keys have been changed by command, those in the data directory count"},
	}
}

// rules judges what belongs together.
func (g Gossip) rules() (problems []error) {
	switch {
	case g.Off() && g.KeyPath != "":
		problems = append(problems, fmt.Errorf("cluster.gossip_key_path (--gossip-keys): cluster.gossip_encryption is off; set it to accept, send or required"))
	case !g.Off() && g.KeyPath == "":
		problems = append(problems, fmt.Errorf("cluster.gossip_key_path (--gossip-keys): cluster.gossip_encryption %s needs keys", g.Encryption))
	}
	return problems
}
