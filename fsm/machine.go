package fsm

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"

	"mainstem/storage"
	"mainstem/stream"
)

// Config configures a Machine. Zero values mean the documented defaults.
type Config struct {
	// CachedStreams bounds the stream states kept in memory by the writer and,
	// again, by the readers. Default 32768.
	CachedStreams int
	// TailBytes bounds the recent data that is kept in memory for those who
	// follow streams: of all streams together, and of one stream 1/128 of it, so
	// that what does not fit is read from the copy. Default 64 MiB; below 0 for
	// none.
	TailBytes int64
	// ChunkBytes bounds what is kept in memory of long reads for others who read the
	// same. Default 64 MiB; below 0 for none.
	ChunkBytes int64
	// Committed is called after each commit with the index and term of its last
	// entry, on raft's goroutine: it must not block.
	Committed func(index, term uint64)
	// Marked is given the copy as of each stream.Mark, to close, on raft's
	// goroutine: it must not block. Marks are ignored without it.
	Marked func(index uint64, m stream.Mark, v *storage.View)
	// Damaged is told, each time it is met, that the copy does not hold what it
	// should. It must not block for long.
	Damaged func(error)
	Log     *slog.Logger // default slog.Default()
}

// Machine is the replicated state machine. Raft's one goroutine writes it;
// readers come from anywhere.
type Machine struct {
	engine    *storage.Engine
	heads     *heads
	registry  *registry
	applied   *applied
	committed func(index, term uint64)
	marked    func(index uint64, m stream.Mark, v *storage.View)
	damaged   func(error)
	log       *slog.Logger
	chunks    *chunks
	buffers   sync.Pool // of *[]byte, for bodies of chunks

	mu  sync.Mutex // guards txn: raft's goroutine against Persist and Restore
	txn *txn
}

var _ raft.BatchingFSM = (*Machine)(nil)

// New returns a machine over engine, which stays the caller's to close.
func New(engine *storage.Engine, cfg Config) (*Machine, error) {
	if cfg.CachedStreams == 0 {
		cfg.CachedStreams = 32 << 10
	}
	if cfg.TailBytes == 0 {
		cfg.TailBytes = 64 << 20
	}
	if cfg.ChunkBytes == 0 {
		cfg.ChunkBytes = 64 << 20
	}
	if cfg.Committed == nil {
		cfg.Committed = func(uint64, uint64) {}
	}
	if cfg.Damaged == nil {
		cfg.Damaged = func(error) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	txn, err := newTxn(engine, cfg.CachedStreams)
	if err != nil {
		return nil, err
	}
	m := &Machine{
		engine:    engine,
		registry:  newRegistry(),
		heads:     newHeads(engine, cfg.CachedStreams, cfg.TailBytes),
		chunks:    newChunks(max(cfg.ChunkBytes, 0)),
		applied:   newApplied(engine.Globals().Applied),
		committed: cfg.Committed,
		marked:    cfg.Marked,
		damaged:   cfg.Damaged,
		log:       cfg.Log,
		txn:       txn,
	}
	m.registry.load(txn.ledger)
	return m, nil
}

// Apply implements raft.FSM.
func (m *Machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM: it decides every command in log
// order and commits once. Each command entry is answered with a
// []stream.Result, or, when it is a bundle, with a [][]stream.Result; configuration entries, which only count as applied, and
// entries applied before, which raft replays at a start, with nil. An entry that cannot be decoded, and a copy that cannot be written,
// panic: a stopped replica is repairable, a diverged one is not.
func (m *Machine) ApplyBatch(logs []*raft.Log) []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	answers := make([]any, len(logs))
	before := m.txn.globals.Applied
	for i, l := range logs {
		if l.Index <= m.txn.globals.Applied {
			continue
		}
		if l.Type == raft.LogCommand {
			results, err := m.applyEntry(l)
			if err != nil {
				panic(fmt.Sprintf("fsm: entry %d cannot be applied, and this node stops before its copy differs from the others': %v", l.Index, err))
			}
			answers[i] = results
		}
		m.txn.globals.Applied, m.txn.globals.Term = l.Index, l.Term
		m.mark(l.Index)
	}
	if g := &m.txn.globals; g.Applied > before {
		m.commit()
		m.committed(g.Applied, g.Term)
	}
	return answers
}

// applyEntry decides an entry and returns the results of its envelope, or of each
// of its envelopes.
func (m *Machine) applyEntry(l *raft.Log) (any, error) {
	rest, several := stream.Unbundle(l.Data)
	if !several {
		results, err := m.applyEnvelope(l.Data)
		m.txn.finish()
		return results, err
	}
	var all [][]stream.Result
	for len(rest) > 0 {
		envelope, after, err := stream.NextEnvelope(rest)
		if err != nil {
			return nil, err
		}
		results, err := m.applyEnvelope(envelope)
		if err != nil {
			return nil, err
		}
		all, rest = append(all, results), after
	}
	m.txn.finish()
	return all, nil
}

func (m *Machine) applyEnvelope(envelope []byte) ([]stream.Result, error) {
	header, rest, err := stream.ParseHeader(envelope)
	if err != nil {
		return nil, err
	}
	t := m.txn
	t.begin(header)
	verdict, results := t.sessions.judge(header)
	if verdict == stream.Repeat {
		return results, nil
	}
	results = make([]stream.Result, 0, stream.CountCommands(rest))
	for len(rest) > 0 {
		var c stream.Command
		if c, rest, err = stream.NextCommand(rest); err != nil {
			return nil, err
		}
		if verdict == stream.Lost {
			results = append(results, stream.Result{Rejection: &stream.Rejection{Code: stream.OutcomeUnknown}})
			continue
		}
		result, err := t.judge(c)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	if verdict == stream.Fresh {
		t.sessions.keep(header, t.globals.Now, results, t.batch)
	}
	return results, nil
}

// commit makes what was decided durable in the copy, then visible, then known.
func (m *Machine) commit() {
	changed, err := m.txn.commit()
	if err != nil {
		panic(fmt.Sprintf("fsm: cannot write the copy: %v", err))
	}
	m.heads.publish(changed, m.txn.done)
	m.registry.publish(m.txn.ledger)
	m.txn.settle()
	m.applied.reach(m.txn.globals.Applied)
}

// cover records that the copy holds everything up to an entry. Nobody is told:
// it was no command, and this is not raft's goroutine.
func (m *Machine) cover(index, term uint64) {
	if index <= m.txn.globals.Applied {
		return
	}
	m.txn.globals.Applied, m.txn.globals.Term = index, term
	m.commit()
}

// Applied is the index of the last command or configuration entry that the
// copy holds.
func (m *Machine) Applied() uint64 { return m.applied.index() }

// Watched reports whether anybody follows a stream, or did so lately.
func (m *Machine) Watched() bool { return m.heads.tails.Load() > 0 }

// WaitApplied returns when the copy holds index.
func (m *Machine) WaitApplied(ctx context.Context, index uint64) error {
	return m.applied.wait(ctx, index)
}
