package deploy

import (
	"encoding/json"
	"net/http"
	"time"
)

// tell writes the pod's status where the controllers read it, when it has
// changed.
func (w *worker) tell() {
	began := time.Now().UTC().Format(time.RFC3339)
	ready, over, failed := true, true, false
	var containers []any
	for _, r := range w.runners {
		r.mu.Lock()
		state := map[string]any{"waiting": map[string]any{"reason": "ContainerCreating"}}
		switch {
		case r.process != nil:
			state = map[string]any{"running": map[string]any{"startedAt": r.process.began}}
		case r.exited:
			state = map[string]any{"terminated": map[string]any{"exitCode": r.code}}
		}
		containers = append(containers, map[string]any{"name": r.Name, "image": r.Image, "imageID": r.Image, "ready": r.ready,
			"started": r.process != nil, "restartCount": r.restarts, "state": state})
		ready, over, failed = ready && r.ready, over && r.exited, failed || r.exited && r.code != 0
		r.mu.Unlock()
	}
	phase := "Running"
	if over && w.pod.Spec.RestartPolicy == "Never" {
		phase = map[bool]string{false: "Succeeded", true: "Failed"}[failed]
		ready = false
	}
	condition := func(kind string, is bool) any {
		return map[string]any{"type": kind, "status": map[bool]string{true: "True", false: "False"}[is], "lastTransitionTime": began}
	}
	status := map[string]any{"phase": phase, "podIP": w.ip, "podIPs": []any{map[string]any{"ip": w.ip}}, "containerStatuses": containers}
	key, _ := json.Marshal([]any{status, ready})
	if string(key) == w.lastSent {
		return
	}
	status["conditions"] = []any{condition("Ready", ready), condition("ContainersReady", ready), condition("Initialized", true), condition("PodScheduled", true)}
	err := w.k.do(http.MethodPatch, podsPath+"/"+w.pod.Metadata.Name+"/status",
		map[string]any{"metadata": map[string]any{"uid": w.pod.Metadata.UID}, "status": status}, nil)
	if err == nil {
		w.lastSent = string(key)
		w.k.journal.note("%s: %s, ready %v", w.pod.Metadata.Name, phase, ready)
	}
}
