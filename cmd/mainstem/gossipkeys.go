package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mainstem/cluster"
	"mainstem/fresh"
)

const (
	keptKeysName   = "gossip-keys.json"
	keptKeysFormat = 1
)

// gossipKeys is where the keys of gossip come from: a file of the operator's, until
// a command has changed them, and then what this node has kept.
type gossipKeys struct {
	ring  *cluster.Keyring
	files *fresh.Files
}

// openGossipKeys reads the keys, if gossip is encrypted. It writes nothing.
func (n *node) openGossipKeys() error {
	g := n.cfg.Cluster.Gossip
	if g.Off() {
		return nil
	}
	if n.cfg.Cluster.TLS.Off() {
		n.log.Warn("gossip is encrypted and the connections between nodes are not (cluster.tls.mode = off): a change of its keys by command goes over them in plain")
	}
	kept := keptKeys(filepath.Join(n.cfg.Storage.DataDir, keptKeysName))
	state, known, err := kept.load()
	if err != nil {
		return err
	}
	n.gossip = &gossipKeys{}
	n.gossip.files, err = fresh.Open(fresh.Config{
		Files: []fresh.File{{Name: "cluster.gossip_key_path", Path: g.KeyPath, BytesMax: cluster.GossipKeysBytesMax}},
		Take: func(content [][]byte) error {
			keys, err := cluster.ParseGossipKeys(content[0])
			if err != nil {
				return fmt.Errorf("cluster.gossip_key_path %s: %w", g.KeyPath, err)
			}
			if n.gossip.ring != nil {
				return n.gossip.ring.Configure(keys)
			}
			if !known {
				state = cluster.KeyringState{Keys: keys}
			}
			n.gossip.ring, err = cluster.NewKeyring(cluster.KeyringConfig{State: state, Save: kept.save, Log: n.log})
			return err
		},
		Refused: func(err error) {
			n.log.Error("the changed file of gossip keys is not sound; the keys stay as they were", "err", err)
		},
	})
	return err
}

// keyring is nil where gossip is not encrypted.
func (n *node) keyring() *cluster.Keyring {
	if n.gossip == nil {
		return nil
	}
	return n.gossip.ring
}

// keptKeys is the file of the keys that a command has changed, for this node's eyes
// only.
type keptKeys string

type keptKeysFile struct {
	Format int `json:"format"`
	cluster.KeyringState
}

func (k keptKeys) load() (state cluster.KeyringState, known bool, err error) {
	content, err := os.ReadFile(string(k))
	if errors.Is(err, fs.ErrNotExist) {
		return state, false, nil
	}
	if err != nil {
		return state, false, fmt.Errorf("read the keys of gossip: %w", err)
	}
	var file keptKeysFile
	err = json.Unmarshal(content, &file)
	if err == nil {
		err = file.Validate()
	}
	if err == nil && file.Format != keptKeysFormat {
		err = fmt.Errorf("format %d is not known to this version, which knows %d", file.Format, keptKeysFormat)
	}
	if err != nil {
		return state, false, fmt.Errorf("%s: %w; put the present keys into the file of cluster.gossip_key_path, remove this one, and start again", string(k), err)
	}
	return file.KeyringState, true, nil
}

// save replaces the file in one durable step.
func (k keptKeys) save(state cluster.KeyringState) error {
	content, err := json.Marshal(keptKeysFile{keptKeysFormat, state})
	if err != nil {
		return err
	}
	temp := string(k) + ".tmp"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(content, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", temp, err)
	}
	if err := os.Rename(temp, string(k)); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(string(k)))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
