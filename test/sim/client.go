package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mainstem/stream"
)

// Base is where streams live.
const Base = "/v1/stream/"

// Headers of a request.
type Headers map[string]string

// Text are the headers of an append of text.
var text = Headers{"Content-Type": "text/plain"}

// Reply is a whole answer.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Next is the offset that a reply names; the zero offset for none.
func (r Reply) Next() stream.Offset {
	o, err := stream.ParseOffset(r.Header.Get("Stream-Next-Offset"))
	if err != nil {
		return stream.Offset{}
	}
	return o
}

// Reason is the finer word of a problem.
func (r Reply) Reason() string {
	var p struct{ Reason string }
	_ = json.Unmarshal([]byte(r.Body), &p) // not a problem: no reason
	return p.Reason
}

func (r Reply) String() string {
	return fmt.Sprintf("%d %s %q", r.Status, r.Header.Get("Stream-Next-Offset"), r.Body)
}

// UpToDate reports that the answer claims to reach the tail.
func (r Reply) UpToDate() bool { return r.Header.Get("Stream-Up-To-Date") == "true" }

// Closed reports that the answer says that the stream has ended.
func (r Reply) Closed() bool { return r.Header.Get("Stream-Closed") == "true" }

// Stale reports that the answer says it may be old.
func (r Reply) Stale() bool { return r.Header.Get("Stream-Staleness") != "" }

// Call sends a request and reads the answer to its end. The error is that of a
// client that does not know what became of it.
func (n *Node) Call(ctx context.Context, method, path string, h Headers, body string) (Reply, error) {
	res, err := n.Do(ctx, method, path, h, body)
	if err != nil {
		return Reply{}, err
	}
	b, err := io.ReadAll(res)
	if err != nil {
		return Reply{}, err
	}
	return Reply{res.Status, res.Header, string(b)}, nil
}

// callMax is how long a client waits for an answer, by default.
const callMax = 40 * time.Second

// Ask is Call for a client that waits long enough for any answer.
func (n *Node) Ask(method, name string, h Headers, body string) (Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callMax)
	defer cancel()
	return n.Call(ctx, method, Base+name, h, body)
}

// TailEvent is what one data event and the control event after it say.
type TailEvent struct {
	Data     string
	HasData  bool
	Next     stream.Offset
	UpToDate bool
	Closed   bool
}

// Tail is an SSE connection.
type Tail struct {
	Response
	lines *bufio.Reader
}

// Follow opens an SSE connection. Its error is that of the connection; a status
// other than 200 comes back with the reply.
func (n *Node) Follow(ctx context.Context, name, offset string) (*Tail, Reply, error) {
	res, err := n.Do(ctx, http.MethodGet, Base+name+"?offset="+offset+"&live=sse", nil, "")
	if err != nil {
		return nil, Reply{}, err
	}
	if res.Status != http.StatusOK {
		b, err := io.ReadAll(res)
		return nil, Reply{res.Status, res.Header, string(b)}, err
	}
	return &Tail{*res, bufio.NewReader(res)}, Reply{Status: res.Status, Header: res.Header}, nil
}

// Event waits for the next control event.
func (t *Tail) Event() (e TailEvent, err error) {
	var kind string
	var data []string
	for {
		line, err := t.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, ":"):
		case strings.HasPrefix(line, "event: "):
			kind = line[len("event: "):]
		case strings.HasPrefix(line, "data:"):
			data = append(data, strings.TrimPrefix(line[len("data:"):], " "))
		case line != "":
			return e, fmt.Errorf("sim: strange line %q in an event stream", line)
		case kind == "data":
			e.Data, e.HasData = strings.Join(data, "\n"), true
			kind, data = "", nil
		case kind == "control":
			return e, e.control(strings.Join(data, "\n"))
		}
	}
}

func (e *TailEvent) control(data string) (err error) {
	var c struct {
		StreamNextOffset string
		UpToDate         bool
		StreamClosed     bool
	}
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		return fmt.Errorf("sim: control event %q: %w", data, err)
	}
	e.UpToDate, e.Closed = c.UpToDate, c.StreamClosed
	e.Next, err = stream.ParseOffset(c.StreamNextOffset)
	return err
}
