package main

import (
	"fmt"

	"mainstem/cluster"
)

// gossipConfig is how gossip is encrypted.
type gossipConfig struct {
	encryption string
	keyPath    string
}

func (g gossipConfig) off() bool {
	return g.encryption == "" || g.encryption == string(cluster.EncryptionOff)
}

func gossipSettings() []setting {
	return []setting{
		{key: "cluster.gossip_encryption", flag: "gossip-encryption", std: string(cluster.EncryptionOff), only: commandServe,
			value: choice(func(c *config) *string { return &c.cluster.gossip.encryption }, string(cluster.EncryptionOff),
				string(cluster.EncryptionAccept), string(cluster.EncryptionSend), string(cluster.EncryptionRequired)),
			usage: "whether gossip is encrypted: off; accept, sent plain and taken either way; send, sent encrypted and taken either way; or required. Go from one to the next, in this order, by restarting the nodes in turn"},
		{key: "cluster.gossip_key_path", flag: "gossip-keys", only: commandServe,
			value: text(func(c *config) *string { return &c.cluster.gossip.keyPath }),
			usage: "file of the keys of gossip, one a line, in base64 (`mainstem cluster keyring generate` makes one): the first encrypts, all decrypt; read again when it changes. Once the keys have been changed by command, those in the data directory count"},
	}
}

// rules judges what belongs together.
func (g gossipConfig) rules() (problems []error) {
	switch {
	case g.off() && g.keyPath != "":
		problems = append(problems, fmt.Errorf("cluster.gossip_key_path (--gossip-keys): cluster.gossip_encryption is off; set it to accept, send or required"))
	case !g.off() && g.keyPath == "":
		problems = append(problems, fmt.Errorf("cluster.gossip_key_path (--gossip-keys): cluster.gossip_encryption %s needs keys", g.encryption))
	}
	return problems
}
