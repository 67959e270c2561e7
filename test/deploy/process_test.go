package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a container's: the binary in a root of its own that cannot be
// written to, as the user of the chart, in its pod's network.
type process struct {
	cmd   *exec.Cmd
	began string
	gone  chan struct{} // closed when it has ended
	code  int           // then
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// enter makes the root read-only and becomes the program. $1 is the root, $2 and
// what follows up to "--" are pairs of a directory and where it is mounted.
const enter = `set -e
root=$1; shift
mount --bind "$root" "$root"
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
mount -o remount,bind,ro "$root"
exec chroot --userspec=65532:65532 "$root" "$@"`

func (w *worker) launch(r *runner) (*process, error) {
	if w.sandbox == nil {
		return nil, fmt.Errorf("no sandbox")
	}
	root := filepath.Join("pods", w.pod.Metadata.UID, r.Name)
	for _, dir := range []string{"", "data", "tmp", "etc"} {
		if err := os.MkdirAll(w.k.path(filepath.Join(root, dir)), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(w.k.path(filepath.Join(root, "etc", "resolv.conf")), []byte("nameserver "+gateway+"\n"), 0o644); err != nil {
		return nil, err
	}
	if err := copyProgram(w.k.binary, w.k.path(filepath.Join(root, "mainstem"))); err != nil {
		return nil, err
	}
	env, err := w.environment(r)
	if err != nil {
		return nil, err
	}
	args := []string{"-t", fmt.Sprint(w.sandbox.pid()), "-n", "unshare", "--mount", "--propagation", "private", "sh", "-c", enter, "enter", w.k.path(root)}
	for _, m := range r.VolumeMounts {
		dir, err := w.mounted(m.Name)
		if err == nil {
			err = os.MkdirAll(w.k.path(filepath.Join(root, m.MountPath)), 0o755)
		}
		if err != nil {
			return nil, err
		}
		args = append(args, dir, m.MountPath)
	}
	args = append(append(args, "--", "/mainstem"), r.Args...)
	log, err := os.OpenFile(w.k.path(fmt.Sprintf("%s-%s.log", w.pod.Metadata.Name, r.Name)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{cmd: exec.Command("nsenter", args...), began: time.Now().UTC().Format(time.RFC3339), gone: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(env, "PATH="+os.Getenv("PATH")), log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.gone)
	}()
	return p, nil
}

// mounted is the directory of one of the pod's volumes.
func (w *worker) mounted(name string) (string, error) {
	for _, v := range w.pod.Spec.Volumes {
		switch {
		case v.Name != name:
		case v.PersistentVolumeClaim != nil:
			return w.k.volume(v.PersistentVolumeClaim.ClaimName)
		case v.Secret != nil:
			return w.k.secretFiles(v.Secret.SecretName, filepath.Join("pods", w.pod.Metadata.UID, "volumes", name))
		}
	}
	return w.k.ownDirectory(filepath.Join("pods", w.pod.Metadata.UID, "volumes", name))
}

// environment resolves variables as a kubelet does, each with those before it.
func (w *worker) environment(r *runner) (env []string, err error) {
	known := map[string]string{}
	for _, v := range r.Env {
		value := v.Value
		switch from := v.ValueFrom; {
		case from != nil && from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.name":
			value = w.pod.Metadata.Name
		case from != nil && from.SecretKeyRef != nil:
			if value, err = w.k.secret(from.SecretKeyRef.Name, from.SecretKeyRef.Key); err != nil {
				return nil, err
			}
		case from != nil:
			return nil, fmt.Errorf("%s comes from what the stand-in does not know", v.Name)
		}
		for name, known := range known {
			value = strings.ReplaceAll(value, "$("+name+")", known)
		}
		known[v.Name] = value
		env = append(env, v.Name+"="+value)
	}
	return env, nil
}

func (k *kubelet) secret(name, key string) (string, error) {
	data, err := k.secretData(name)
	return string(data[key]), err
}

func (k *kubelet) secretData(name string) (map[string][]byte, error) {
	var s struct{ Data map[string][]byte }
	err := k.get("/api/v1/namespaces/"+namespace+"/secrets/"+name, &s)
	return s.Data, err
}

// secretFiles writes a Secret into a directory.
func (k *kubelet) secretFiles(name, dir string) (string, error) {
	data, err := k.secretData(name)
	if err != nil {
		return "", err
	}
	path, err := k.ownDirectory(dir)
	for file, content := range data {
		if err == nil {
			err = os.WriteFile(filepath.Join(path, file), content, 0o644)
		}
	}
	return path, err
}

// copyProgram puts the binary into a root, where it stays over restarts.
func copyProgram(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}
