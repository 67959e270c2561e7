package deploy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	containerUser = 65532
	restartPause  = time.Second // a real kubelet waits up to five minutes
	startEach     = 200 * time.Millisecond
)

// worker runs one pod.
type worker struct {
	k        *kubelet
	pod      pod
	ip       string
	sandbox  *sandbox
	ending   chan struct{}
	endOnce  sync.Once
	grace    time.Duration // set before ending is closed
	runners  []*runner
	lastSent string
}

// runner is one container of a pod.
type runner struct {
	container
	mu       sync.Mutex // guards what follows
	process  *process
	ready    bool
	wasReady bool // since its process began
	restarts int
	exited   bool // for good
	code     int
}

func newWorker(k *kubelet, p pod) *worker {
	w := &worker{k: k, pod: p, ending: make(chan struct{})}
	for _, c := range p.Spec.Containers {
		w.runners = append(w.runners, &runner{container: c})
	}
	return w
}

// end tells the worker that its pod was deleted.
func (w *worker) end(grace time.Duration) {
	w.endOnce.Do(func() {
		w.grace = grace
		close(w.ending)
	})
}

func (w *worker) isEnding() bool {
	select {
	case <-w.ending:
		return true
	default:
		return false
	}
}

// partakes reports that the process of a node runs and was ready.
func (w *worker) partakes() bool {
	if w.pod.Metadata.Labels["app.kubernetes.io/component"] != "node" {
		return false
	}
	for _, r := range w.runners {
		r.mu.Lock()
		ok := r.process != nil && r.wasReady
		r.mu.Unlock()
		if !ok {
			return false
		}
	}
	return true
}

// run takes the pod from the first status to its removal.
func (w *worker) run() {
	name := w.pod.Metadata.Name
	_ = w.k.do(http.MethodPost, podsPath+"/"+name+"/binding", map[string]any{"metadata": map[string]any{"name": name},
		"target": map[string]any{"kind": "Node", "name": nodeName}}, nil)
	var err error
	if w.sandbox, err = w.k.network.sandbox(); err != nil {
		w.k.journal.note("%s: no sandbox: %v", name, err)
		return
	}
	defer w.sandbox.close()
	w.ip = w.sandbox.address
	w.k.journal.note("%s: begins at %s", name, w.ip)
	var all sync.WaitGroup
	for _, r := range w.runners {
		all.Go(func() { w.keep(r) })
	}
	told := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		for {
			w.tell()
			select {
			case <-time.After(lookEach):
			case <-told:
				w.tell()
				return
			}
		}
	})
	all.Wait()
	close(told)
	telling.Wait()
	select { // a pod that has ended stays until it is deleted
	case <-w.ending:
	case <-w.k.stop:
		return
	}
	err = w.k.do(http.MethodDelete, podsPath+"/"+name, map[string]any{"gracePeriodSeconds": 0,
		"preconditions": map[string]any{"uid": w.pod.Metadata.UID}}, nil)
	w.k.journal.note("%s: gone from %s (%v)", name, w.ip, err)
}

// keep starts a container again and again, as its pod's policy says, until the
// pod ends.
func (w *worker) keep(r *runner) {
	for {
		code, err := w.once(r)
		r.mu.Lock()
		r.process, r.ready, r.wasReady, r.code = nil, false, false, code
		over := w.isEnding() || w.pod.Spec.RestartPolicy == "Never"
		r.exited = over
		r.restarts++
		r.mu.Unlock()
		w.k.journal.note("%s/%s: ended with %d (%v); its pod is deleted: %v", w.pod.Metadata.Name, r.Name, code, err, w.isEnding())
		w.k.journal.count(w.k.partakers())
		if over {
			return
		}
		select {
		case <-time.After(restartPause):
		case <-w.ending:
		case <-w.k.stop:
			return
		}
	}
}

var errEnding = errors.New("the pod ends")

// once runs a container's process to its end.
func (w *worker) once(r *runner) (int, error) {
	for w.k.isHeld(w.pod.Metadata.Name) {
		select {
		case <-time.After(startEach):
		case <-w.ending:
			return 0, errEnding
		case <-w.k.stop:
			return 0, errEnding
		}
	}
	p, err := w.launch(r)
	if err != nil {
		return -1, err
	}
	r.mu.Lock()
	r.process = p
	r.mu.Unlock()
	gone := make(chan struct{})
	var probing sync.WaitGroup
	probing.Go(func() { w.probe(r, p, gone) })
	defer probing.Wait()
	defer close(gone)
	select {
	case <-p.gone:
	case <-w.k.stop:
		p.signal(syscall.SIGKILL)
	case <-w.ending:
		if hook := r.Lifecycle; hook != nil && hook.PreStop != nil && hook.PreStop.Sleep != nil {
			time.Sleep(time.Duration(hook.PreStop.Sleep.Seconds) * time.Second)
		}
		w.k.journal.note("%s: told to stop within %v; partakers %v", w.pod.Metadata.Name, w.grace, w.k.partakers())
		p.signal(syscall.SIGTERM)
		select {
		case <-p.gone:
		case <-w.k.stop:
			p.signal(syscall.SIGKILL)
		case <-time.After(w.grace):
			w.k.journal.fail("%s was killed: it did not stop within its grace period of %v", w.pod.Metadata.Name, w.grace)
			p.signal(syscall.SIGKILL)
		}
	}
	<-p.gone
	return p.code, nil
}

// probe asks as a kubelet does: startup first, then liveness and readiness.
func (w *worker) probe(r *runner, p *process, gone chan struct{}) {
	if r.ReadinessProbe == nil {
		r.set(p, true)
		return
	}
	if !w.until(r, r.StartupProbe, gone) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		w.each(r, r.LivenessProbe, gone, func(_, bad bool) {
			if bad && !w.isEnding() {
				w.k.journal.fail("%s was killed by its liveness probe", w.pod.Metadata.Name)
				p.signal(syscall.SIGKILL)
			}
		})
	})
	w.each(r, r.ReadinessProbe, gone, func(good, bad bool) {
		if good || bad {
			r.set(p, good)
		}
	})
	both.Wait()
}

func (r *runner) set(p *process, ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == p {
		r.ready = ready
		r.wasReady = r.wasReady || ready
	}
}

// until asks until the answer is good; false when the process has gone.
func (w *worker) until(r *runner, pr *probe, gone chan struct{}) bool {
	if pr == nil {
		return true
	}
	var good atomic.Bool
	done := make(chan struct{})
	var once sync.Once
	go func() {
		select {
		case <-gone:
			once.Do(func() { close(done) })
		case <-done:
		}
	}()
	w.each(r, pr, done, func(ok, _ bool) {
		if ok {
			good.Store(true)
			once.Do(func() { close(done) })
		}
	})
	return good.Load()
}

// each asks once per period. good is an answer that is, bad the failure that
// makes the threshold full.
func (w *worker) each(r *runner, pr *probe, stop chan struct{}, judge func(good, bad bool)) {
	if pr == nil {
		return
	}
	failures := 0
	client := &http.Client{Timeout: time.Duration(pr.TimeoutSeconds) * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	url := fmt.Sprintf("http://%s:%d%s", w.ip, r.port(pr.HTTPGet.Port), pr.HTTPGet.Path)
	for {
		res, err := client.Get(url)
		good := err == nil && res.StatusCode < 400
		if err == nil {
			res.Body.Close()
		}
		if failures++; good {
			failures = 0
		}
		judge(good, failures >= pr.FailureThreshold)
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(cmp.Or(pr.PeriodSeconds, 10)) * time.Second):
		}
	}
}

func (r *runner) port(named any) int {
	for _, p := range r.Ports {
		if p.Name == named {
			return p.ContainerPort
		}
	}
	number, _ := named.(float64)
	return int(number)
}
