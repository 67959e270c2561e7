package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// transport is raft's own with pipelines that cannot get stuck.
//
// In raft v1.7.3 the reader of a pipeline's answers goes away at the first
// refusal, while its sender may at the same moment send once more. Then nobody
// takes the answers, the sender waits for ever, and the follower gets heartbeats
// but no entry until the leader is restarted.
type transport struct{ *raft.NetworkTransport }

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := &pipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture), done: make(chan struct{})}
	p.passing.Go(p.pass)
	return p, nil
}

// pipeline closes itself after an answer that ends its reader, so that its
// sender ends too.
type pipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	done    chan struct{}
	once    sync.Once
	passing sync.WaitGroup
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	err := p.shut()
	p.passing.Wait()
	return err
}

func (p *pipeline) shut() error {
	p.once.Do(func() { close(p.done) })
	return p.AppendPipeline.Close() // may be called again
}

func (p *pipeline) pass() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			last := !f.Response().Success || f.Response().Term > f.Request().Term
			select {
			case p.answers <- f:
			case <-p.done:
				return
			}
			if last {
				p.shut()
				return
			}
		case <-p.done:
			return
		}
	}
}
