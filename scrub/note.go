package scrub

import (
	"encoding/json"
	"time"

	"mainstem/storage"
)

// Member is one node of the cluster, as another sees it.
type Member struct {
	ID        string
	Voter     bool
	Reachable bool
	Note      []byte // of its Scrubber
}

// result is the digest of one part of a copy.
type result struct {
	Index   uint64 `json:"index"`
	Version int    `json:"version"`
	Sum     string `json:"sum"`
}

// note is what members tell each other.
type note struct {
	Results []result `json:"results"`
}

// own is a result of this node, and what has become of it.
type own struct {
	result
	from, next string
	at         time.Time
	last       outcome           // of the last look
	said       map[string]string // by members, then
	settled    bool              // no look will change it
	alarmed    bool
}

// Note is what this node has to tell the others.
func (s *Scrubber) Note() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.results) == 0 {
		return nil
	}
	var n note
	for _, r := range s.results {
		n.Results = append(n.Results, r.result)
	}
	b, err := json.Marshal(n)
	if err != nil { // numbers and plain strings always encode
		panic(err)
	}
	return b
}

// heard returns what the members said about an index.
func heard(members []Member, index uint64) map[string]string {
	sums := map[string]string{}
	for _, m := range members {
		if len(m.Note) == 0 || len(m.Note) > resultsBytesMax {
			continue
		}
		var n note
		if json.Unmarshal(m.Note, &n) != nil {
			continue // of another version
		}
		for _, r := range n.Results {
			if r.Index == index && r.Version == storage.SumVersion {
				sums[m.ID] = r.Sum
			}
		}
	}
	return sums
}
