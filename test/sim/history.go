package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"mainstem/stream"
)

// Kind is what an operation asks for.
type Kind string

// The kinds of operations.
const (
	Create Kind = "create"
	Append Kind = "append"
	Close  Kind = "close"
	Delete Kind = "delete"
	Head   Kind = "head"
	Trim   Kind = "trim" // to Op.From
	Read   Kind = "read" // from Op.From, once
	Poll   Kind = "poll" // long-poll from Op.From
	Event  Kind = "sse"  // one event of a connection that stands at Op.From
)

// Op is one operation as its client saw it.
type Op struct {
	Client int
	Kind   Kind
	Stream string
	Node   string
	At     time.Duration // of the call, since the history began
	Call   int64         // order of all calls and returns
	Return int64

	Data     string `json:",omitempty"` // appended: the bytes that the stream is to hold
	Producer string `json:",omitempty"`
	Seq      int    `json:",omitempty"` // of the producer, from 0
	Source   string `json:",omitempty"` // of a fork
	From     stream.Offset

	Status   int
	Reason   string `json:",omitempty"`
	Err      string `json:",omitempty"` // the client does not know what became of it
	Next     stream.Offset
	Body     string        `json:",omitempty"` // read: the bytes that the stream holds
	UpToDate bool          `json:",omitempty"`
	Closed   bool          `json:",omitempty"`
	Stale    bool          `json:",omitempty"`
	Horizon  stream.Offset // where the stream begins, of one that was trimmed
	Fenced   bool          `json:",omitempty"` // the first event of a connection
}

func (o *Op) String() string {
	return fmt.Sprintf("client %d at %v: %s %s at %s, from %v: %d %s %s next %v", o.Client, o.At, o.Kind, o.Stream, o.Node, o.From, o.Status, o.Reason, o.Err, o.Next)
}

// Fate is what a client knows of a write.
type Fate int

// The fates of a write.
const (
	Unknown Fate = iota // it may have been carried out, or may still be
	Done
	Refused // it was not carried out
)

// Fate of a write.
func (o *Op) Fate() Fate {
	switch {
	case o.Status >= 200 && o.Status < 300:
		return Done
	case o.Status >= 400 && o.Status < 500, o.Status == 503 && o.Reason == "NOT_WRITTEN":
		return Refused
	}
	return Unknown
}

// History is what all clients saw.
type History struct {
	begin time.Time

	mu    sync.Mutex // guards what follows
	order int64
	ops   []*Op

	// Final is what each node held of each stream in the end, when all was
	// healed.
	Final map[string]map[string]Final
	// Wrong is what was noticed while it was written.
	Wrong []string
}

// Final is the whole of a stream.
type Final struct {
	Begin  uint64 // of Body: 0 unless it was trimmed
	Body   string
	Next   stream.Offset
	Closed bool
	Gone   bool
}

// NewHistory begins a history now.
func NewHistory() *History {
	return &History{begin: time.Now(), Final: map[string]map[string]Final{}}
}

// Begin notes a call. The operation belongs to its client until End.
func (h *History) Begin(o *Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.order++
	o.Call, o.At = h.order, time.Since(h.begin)
	h.ops = append(h.ops, o)
}

// End notes a return.
func (h *History) End(o *Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.order++
	o.Return = h.order
}

// Complain notes what must not be.
func (h *History) Complain(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Wrong = append(h.Wrong, fmt.Sprintf(format, args...))
}

// Ops are all operations, by call. Only for when no client runs any more.
func (h *History) Ops() []*Op { return h.ops }

// Save writes one operation per line.
func (h *History) Save(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, o := range h.ops {
		if err := enc.Encode(o); err != nil {
			return err
		}
	}
	for _, wrong := range h.Wrong {
		if err := enc.Encode(map[string]string{"Wrong": wrong}); err != nil {
			return err
		}
	}
	return w.Flush()
}
