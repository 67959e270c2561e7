package test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// tracedNode is a node as a trace shows it.
type tracedNode struct {
	id   string
	addr string // HTTP
	dir  string // data directory; the directory it lies in was there before the trace
	log  string // the directory of the raft log, below dir
	skip string // directory of the copy, which may be lost: the log rebuilds it
}

// account is what a trace says about durability, in the order of its lines.
type account struct {
	syncs   map[string][]span   // finished fsync and fdatasync, by path
	born    map[string]int      // line at which a directory entry was complete
	written map[string][]record // writes to files, by path
	reads   []record            // reads of sockets
	answers []record            // writes to sockets
}

type span struct{ begin, end int }

type record struct {
	span
	where string // path, or "local->remote"
	local string
	text  string
}

func newAccount(calls []call) *account {
	a := &account{syncs: map[string][]span{}, born: map[string]int{}, written: map[string][]record{}}
	for _, c := range calls {
		if c.result >= 0 {
			a.add(c)
		}
	}
	return a
}

func (a *account) add(c call) {
	s := span{c.begin, c.end}
	switch c.name {
	case "fsync", "fdatasync":
		if path, ok := c.file(); ok {
			a.syncs[path] = append(a.syncs[path], s)
		}
	case "openat", "open", "creat":
		if p := c.paths(); len(p) == 1 && (strings.Contains(c.text, "O_CREAT") || c.name == "creat") {
			a.bear(p[0], c.end)
		}
	case "mkdirat", "mkdir":
		for _, p := range c.paths() {
			a.bear(p, c.end)
		}
	case "renameat", "renameat2", "rename", "linkat":
		if p := c.paths(); len(p) == 2 {
			delete(a.born, p[1])
			a.bear(p[1], c.end)
			if c.name != "linkat" {
				a.move(p[0], p[1])
			}
		}
	case "unlinkat", "unlink":
		for _, p := range c.paths() {
			delete(a.born, p)
			delete(a.syncs, p)
		}
	case "write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg":
		if local, remote, ok := c.socket(); ok {
			a.answers = append(a.answers, record{s, local + "->" + remote, local, c.text})
		} else if path, ok := c.file(); ok {
			a.written[path] = append(a.written[path], record{s, path, "", c.text})
		}
	case "read", "readv", "recvfrom", "recvmsg":
		if local, remote, ok := c.socket(); ok {
			a.reads = append(a.reads, record{s, local + "->" + remote, local, c.text})
		}
	}
}

// bear notes a new directory entry; opening an old one again is no news.
func (a *account) bear(path string, line int) {
	if _, known := a.born[path]; !known {
		a.born[path] = line
	}
}

// move carries what is known of a file and of what lies in it to its new name.
func (a *account) move(from, to string) {
	delete(a.born, from)
	for path := range a.syncs {
		if rest, in := strings.CutPrefix(path, from); in && (rest == "" || rest[0] == '/') {
			a.syncs[to+rest] = append(a.syncs[to+rest], a.syncs[path]...)
			delete(a.syncs, path)
		}
	}
	for path, line := range a.born {
		if rest, in := strings.CutPrefix(path, from+"/"); in {
			a.born[filepath.Join(to, rest)] = line
			delete(a.born, path)
		}
	}
}

// synced tells whether a sync of path lies wholly between two lines.
func (a *account) synced(path string, after, before int) bool {
	return slices.ContainsFunc(a.syncs[path], func(s span) bool { return s.begin > after && s.end < before })
}

// verdict is what became of one marked append.
type verdict struct {
	marker  string
	durable []string // nodes that had it on disk before it was answered
	missing []string // what the others lacked
}

// judge finds the request and the answer of each marker and asks every node
// whether it had the append on disk in between. An append that was not answered
// with 200 or 204 is an error, as is one that the trace does not show.
func (a *account) judge(nodes []tracedNode, markers []string) ([]verdict, error) {
	var out []verdict
	for _, marker := range markers {
		request, answer, err := a.exchange(nodes, marker)
		if err != nil {
			return nil, err
		}
		v := verdict{marker: marker}
		for _, n := range nodes {
			if why := a.lacks(n, marker, request.end, answer.begin); why != "" {
				v.missing = append(v.missing, n.id+": "+why)
			} else {
				v.durable = append(v.durable, n.id)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

func (a *account) exchange(nodes []tracedNode, marker string) (request, answer record, err error) {
	client := func(r record) bool {
		return slices.ContainsFunc(nodes, func(n tracedNode) bool { return n.addr == r.local })
	}
	i := slices.IndexFunc(a.reads, func(r record) bool { return client(r) && strings.Contains(r.text, marker) })
	if i < 0 {
		return request, answer, fmt.Errorf("%s: no node read it from a client", marker)
	}
	request = a.reads[i]
	j := slices.IndexFunc(a.answers, func(r record) bool {
		return r.where == request.where && r.begin > request.end && strings.Contains(r.text, `"HTTP/1.1 `)
	})
	if j < 0 {
		return request, answer, fmt.Errorf("%s: no answer on %s", marker, request.where)
	}
	answer = a.answers[j]
	if !strings.Contains(answer.text, `"HTTP/1.1 200`) && !strings.Contains(answer.text, `"HTTP/1.1 204`) {
		return request, answer, fmt.Errorf("%s: answered %.120s", marker, answer.text)
	}
	return request, answer, nil
}

// lacks says what a power cut at the moment of the answer would have taken from
// a node: "" when the append was safe there.
func (a *account) lacks(n tracedNode, marker string, request, answer int) string {
	why := "the append was not written to the raft log"
	for path, writes := range a.written {
		if !within(n.log, path) {
			continue
		}
		for _, w := range writes {
			switch {
			case w.begin < request || w.end > answer || !strings.Contains(w.text, marker):
				continue
			case !a.synced(path, w.end, answer):
				why = fmt.Sprintf("%s was not synced between the write of the append and the answer", path)
			default:
				return a.lacksEntry(n, answer)
			}
		}
	}
	return why
}

// lacksEntry looks at every file of the node that was synced, which is how a
// program says that it will need it: its directory entry, and those of the
// directories above, must have been synced after they were made.
func (a *account) lacksEntry(n tracedNode, answer int) string {
	for path, syncs := range a.syncs {
		if !within(n.dir, path) || within(n.skip, path) || !slices.ContainsFunc(syncs, func(s span) bool { return s.end < answer }) {
			continue
		}
		for at := path; at != filepath.Dir(n.dir); at = filepath.Dir(at) {
			line, made := a.born[at]
			if made && line < answer && !a.synced(filepath.Dir(at), line, answer) {
				return fmt.Sprintf("the directory of %s was not synced after its entry was made", at)
			}
		}
	}
	return ""
}

// within tells whether path is dir or lies below it.
func within(dir, path string) bool {
	rest, below := strings.CutPrefix(path, dir)
	return below && (rest == "" || rest[0] == '/')
}
