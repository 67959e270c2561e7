package peertls

import (
	"errors"
	"sync"
	"time"
)

var errPlain = errors.New("the connection is plain, and this node takes only TLS (cluster.tls.mode = required); set the mode of the other to permissive or required")

// Proves says why the other end may not be taken for the node with that id, which
// is known to be dialled by those hosts; nil when it may. It is called once the
// connection has been read from, or dialled, and once for each connection, which
// it counts. In mode permissive it tells and returns nil.
func (c *conn) Proves(id string, hosts ...string) error {
	if err := c.begin(); err != nil {
		return err
	}
	g := c.guard
	err := c.judge(id, hosts)
	switch {
	case err == nil:
		g.conns.WithLabelValues(c.direction, verified).Inc()
		return nil
	case g.cfg.Mode == Required:
		g.conns.WithLabelValues(c.direction, refused).Inc()
		if g.teller.due("refuse " + hostOf(c.RemoteAddr().String())) {
			g.cfg.Log.Warn("a connection with another node was refused: it has not proven who it is", "node", id, "remote", c.RemoteAddr(), "direction", c.direction, "err", err)
		}
		return err
	case !c.secure:
		g.conns.WithLabelValues(c.direction, plain).Inc()
		return nil
	}
	g.conns.WithLabelValues(c.direction, unverified).Inc()
	if g.teller.due("doubt " + hostOf(c.RemoteAddr().String())) {
		g.cfg.Log.Warn("another node has not proven who it is; with cluster.tls.mode = required it would be refused", "node", id, "remote", c.RemoteAddr(), "direction", c.direction, "err", err)
	}
	return nil
}

func (c *conn) judge(id string, hosts []string) error {
	switch {
	case !c.secure:
		return errPlain
	case c.doubt != nil:
		return c.doubt
	}
	return fits(c.leaf, id, hosts...)
}

const (
	tellEvery = time.Minute // of one thing
	tellMax   = 256         // things that are remembered
)

// teller keeps the log readable when somebody knocks all the time.
type teller struct {
	now func() time.Time

	mu   sync.Mutex // guards said
	said map[string]time.Time
}

// due reports that what is to be told has not been told for a while.
func (t *teller) due(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if at, ok := t.said[what]; ok && now.Sub(at) < tellEvery {
		return false
	}
	if t.said == nil {
		t.said = map[string]time.Time{}
	}
	if len(t.said) >= tellMax {
		for old, at := range t.said {
			if now.Sub(at) >= tellEvery {
				delete(t.said, old)
			}
		}
	}
	if len(t.said) >= tellMax {
		return false
	}
	t.said[what] = now
	return true
}
