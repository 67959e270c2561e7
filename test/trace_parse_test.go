package test

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// call is one system call of a trace. strace writes a line when a call begins
// and, if anything came between, another when it ends, so line numbers order
// causes before effects: a thread cannot go on before its end is written, also
// across processes, since one strace watches all of them.
type call struct {
	name       string
	text       string // arguments as strace prints them
	begin, end int    // line numbers
	result     int    // negative for an error
}

var (
	lineForm    = regexp.MustCompile(`^(\d+) +\d+\.\d+ (.*)$`)
	resumedForm = regexp.MustCompile(`^<\.\.\. (\w+) resumed>(.*)$`)
	callForm    = regexp.MustCompile(`^(\w+)\((.*)$`)
	resultForm  = regexp.MustCompile(`\) += (-?\d+|\?)(?:<.*>)?(?: E[A-Z0-9]+ \(.*\))?(?: <[\d.]+>)?$`)
)

// parseTrace reads what strace -f -ttt wrote. Calls that never ended are left
// out, and so is a last line without its end, which strace was writing when it
// was killed; any other line it does not understand is an error, so that none is
// overlooked.
func parseTrace(r io.Reader) ([]call, error) {
	var calls []call
	open := map[string]call{} // by thread
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return calls, nil
		}
		if err != nil {
			return nil, err
		}
		m := lineForm.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			return nil, fmt.Errorf("line %d: not understood: %.200q", number, line)
		}
		thread, rest := m[1], m[2]
		if strings.HasPrefix(rest, "+++") || strings.HasPrefix(rest, "---") {
			continue // the thread's end, or a signal
		}
		if begun, cut := strings.CutSuffix(rest, " <unfinished ...>"); cut {
			c, err := beginCall(begun, number)
			if err != nil {
				return nil, err
			}
			open[thread] = c
			continue
		}
		var c call
		if m := resumedForm.FindStringSubmatch(rest); m != nil {
			c = open[thread]
			delete(open, thread)
			if c.name != m[1] {
				return nil, fmt.Errorf("line %d: %s resumed, which had not begun", number, m[1])
			}
			c.text += m[2]
		} else {
			var err error
			if c, err = beginCall(rest, number); err != nil {
				return nil, err
			}
		}
		if err := c.finish(number); err != nil {
			return nil, err
		}
		calls = append(calls, c)
	}
}

func beginCall(text string, number int) (call, error) {
	m := callForm.FindStringSubmatch(text)
	if m == nil {
		return call{}, fmt.Errorf("line %d: no system call: %.200q", number, text)
	}
	return call{name: m[1], text: m[2], begin: number}, nil
}

// finish splits the result from the arguments.
func (c *call) finish(number int) error {
	at := resultForm.FindStringSubmatchIndex(c.text)
	if at == nil {
		return fmt.Errorf("line %d: no result: %.200q", number, c.text)
	}
	c.end = number
	c.result = -1 // of a call that the end of the process cut off
	if result := c.text[at[2]:at[3]]; result != "?" {
		var err error
		if c.result, err = strconv.Atoi(result); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	c.text = c.text[:at[0]]
	return nil
}

var (
	socketForm = regexp.MustCompile(`^\d+<TCP(?:v6)?:\[([^\]]*)->([^\]]*)\]>`)
	fileForm   = regexp.MustCompile(`^\d+<(/[^>]*)>`)
	pathForm   = regexp.MustCompile(`(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, "([^"]*)"`)
)

// socket returns the two ends of the TCP connection a call works on.
func (c call) socket() (local, remote string, ok bool) {
	m := socketForm.FindStringSubmatch(c.text)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// file returns the path of the open file a call works on.
func (c call) file() (string, bool) {
	m := fileForm.FindStringSubmatch(c.text)
	if m == nil {
		return "", false
	}
	return strings.TrimSuffix(m[1], " (deleted)"), true
}

// paths returns the paths a call names, made absolute.
func (c call) paths() []string {
	var out []string
	for _, m := range pathForm.FindAllStringSubmatch(c.text, -1) {
		path := m[2]
		if !filepath.IsAbs(path) {
			path = filepath.Join(m[1], path)
		}
		out = append(out, filepath.Clean(path))
	}
	return out
}
