package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is one program in a process group of its own. It ends with the test,
// whatever becomes of the test.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended
	code int           // exit code; -1 for a signal; set before done is closed
}

// StartProcess starts a program whose output is appended to a file.
func StartProcess(logPath string, env []string, program string, args ...string) (*Process, error) {
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the program has its own descriptor
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go p.reap()
	return p, nil
}

func (p *Process) reap() {
	p.cmd.Wait() // the exit code tells all
	p.code = p.cmd.ProcessState.ExitCode()
	close(p.done)
}

// Signal sends a signal to the whole group.
func (p *Process) Signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return errors.New("the process has ended")
	default:
		return syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// frozen returns nil when all threads are stopped, or in the kernel at something
// that cannot be interrupted: they stop before they return from that.
func (p *Process) frozen() error {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil {
		return err
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		_, rest, _ := strings.Cut(string(stat), ") ") // behind the name
		if state, _, _ := strings.Cut(rest, " "); state == "R" || state == "S" {
			return fmt.Errorf("a thread is in state %s", state)
		}
	}
	return nil
}

// Kill ends the whole group at once and waits for it.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL) // it may have ended just now
	<-p.done
}

// Wait returns the exit code, -1 for an end by a signal, or an error when the
// program still runs after the given time.
func (p *Process) Wait(within time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.code, nil
	case <-time.After(within):
		return 0, fmt.Errorf("pid %d still runs after %v", p.cmd.Process.Pid, within)
	}
}

// Running tells whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Pid is the number of the process that was started.
func (p *Process) Pid() int { return p.cmd.Process.Pid }
