package deploy

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	nodeName = "stand-in"
	lookEach = 100 * time.Millisecond
)

// kubelet is a stand-in for scheduler, volumes and kubelet: it takes pods as the
// controllers make them, and has a worker run each. A pod is a network namespace
// with a new address; a container is a process in it with a root of its own.
type kubelet struct {
	*controlPlane
	binary  string
	network *network
	journal *journal
	stop    chan struct{}
	wait    sync.WaitGroup

	mu      sync.Mutex         // guards what follows
	workers map[string]*worker // by the pods' uids
	held    map[string]bool    // names of pods whose containers cannot be started
	claims  map[string]string  // uid of each claim, by its name
}

func startKubelet(c *controlPlane, binary string) *kubelet {
	c.t.Helper()
	k := &kubelet{controlPlane: c, binary: binary, network: newNetwork(c), journal: newJournal(c.t), stop: make(chan struct{}),
		workers: map[string]*worker{}, held: map[string]bool{}, claims: map[string]string{}}
	c.must(http.MethodPost, "/api/v1/nodes", map[string]any{"metadata": map[string]any{"name": nodeName}})
	k.wait.Go(func() {
		for {
			k.look()
			select {
			case <-time.After(lookEach):
			case <-k.stop:
				return
			}
		}
	})
	c.t.Cleanup(k.close)
	return k
}

func (k *kubelet) close() {
	close(k.stop)
	k.wait.Wait()
}

// hold keeps the containers of a pod from being started, as an image that cannot
// be pulled does.
func (k *kubelet) hold(pod string, held bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held[pod] = held
}

func (k *kubelet) isHeld(pod string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held[pod]
}

// look takes what is new: claims get volumes, pods get workers, and workers hear
// when their pod is to end. An error passes: it looks again.
func (k *kubelet) look() {
	var claims struct{ Items []claim }
	var pods struct{ Items []pod }
	if k.get("/api/v1/namespaces/"+namespace+"/persistentvolumeclaims", &claims) != nil || k.get(podsPath, &pods) != nil {
		return
	}
	for _, c := range claims.Items {
		k.mu.Lock()
		k.claims[c.Metadata.Name] = c.Metadata.UID
		k.mu.Unlock()
		if c.Spec.VolumeName == "" {
			k.provide(c)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range pods.Items {
		w := k.workers[p.Metadata.UID]
		switch {
		case w == nil && p.Metadata.DeletionTimestamp == nil && p.Status.Phase == "Pending":
			w = newWorker(k, p)
			k.workers[p.Metadata.UID] = w
			k.wait.Go(w.run)
		case w != nil && p.Metadata.DeletionTimestamp != nil:
			w.end(time.Duration(p.Metadata.DeletionGracePeriodSeconds) * time.Second)
		}
	}
}

// provide makes a volume for a claim; the real controller binds the two.
func (k *kubelet) provide(c claim) {
	_ = k.do(http.MethodPost, "/api/v1/persistentvolumes", map[string]any{
		"metadata": map[string]any{"name": "pv-" + c.Metadata.UID},
		"spec": map[string]any{
			"capacity": map[string]any{"storage": c.Spec.Resources.Requests.Storage}, "accessModes": c.Spec.AccessModes,
			"persistentVolumeReclaimPolicy": "Retain", "hostPath": map[string]any{"path": "/of/a/test"},
			"claimRef": map[string]any{"namespace": namespace, "name": c.Metadata.Name, "uid": c.Metadata.UID},
		},
	}, nil)
}

// volume is the directory of a claim, which is empty when the claim is new.
func (k *kubelet) volume(claim string) (string, error) {
	k.mu.Lock()
	uid := k.claims[claim]
	k.mu.Unlock()
	if uid == "" {
		return "", fmt.Errorf("there is no claim %s", claim)
	}
	return k.ownDirectory(filepath.Join("volumes", uid))
}

// ownDirectory makes a directory of the user that containers run as.
func (k *kubelet) ownDirectory(name string) (string, error) {
	dir := k.path(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.Chown(dir, containerUser, containerUser)
}

// partakers are the pods whose process runs and was ready since it began, that is
// the nodes that take part.
func (k *kubelet) partakers() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	names := map[string]bool{}
	for _, w := range k.workers {
		if w.partakes() {
			names[w.pod.Metadata.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
