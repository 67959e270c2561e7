package deploy

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	// envAlone says that the network is this run's own, so that its ports are free.
	envAlone  = "MAINSTEM_DEPLOY_ALONE"
	namespace = "streams"
	apiURL    = "https://127.0.0.1:16443"
	apiToken  = "of-a-test"
	upWithin  = 3 * time.Minute
)

// controlPlane is a real etcd, API server and controller manager. There is no
// scheduler, kubelet, proxy or DNS: the stand-ins take their part.
type controlPlane struct {
	t      *testing.T
	dir    string
	client *http.Client
}

// startControlPlane starts it with a namespace that admits only pods which keep
// to the restricted standard.
func startControlPlane(t *testing.T) *controlPlane {
	t.Helper()
	etcd, server, manager := tool(t, "etcd"), tool(t, "kube-apiserver"), tool(t, "kube-controller-manager")
	tool(t, "kubectl")
	if os.Getenv(envAlone) == "" {
		t.Skipf("SKIPPED: no namespace for the network could be made here; run make deploy-test as root (%s is not set)", envAlone)
	}
	if err := ip("link", "set", "lo", "up"); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	c := &controlPlane{t: t, dir: t.TempDir()}
	c.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 64, // the server signs its own certificate, and is on loopback
	}}
	c.write("token.csv", apiToken+",admin,1,system:masters\n")
	c.write("sa.key", privateKey(t))
	c.write("kubeconfig", fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: it, contexts: [{name: it, context: {cluster: it, user: it, namespace: %s}}],
clusters: [{name: it, cluster: {server: %q, insecure-skip-tls-verify: true}}], users: [{name: it, user: {token: %s}}]}`, namespace, apiURL, apiToken))
	c.start("etcd", etcd, "--data-dir", c.path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", "http://127.0.0.1:12379", "--advertise-client-urls", "http://127.0.0.1:12379",
		"--listen-peer-urls", "http://127.0.0.1:12380", "--initial-advertise-peer-urls", "http://127.0.0.1:12380",
		"--initial-cluster", "default=http://127.0.0.1:12380")
	c.start("kube-apiserver", server, "--etcd-servers", "http://127.0.0.1:12379", "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
		"--endpoint-reconciler-type", "none", "--secure-port", "16443", "--cert-dir", c.path("certs"), "--service-account-issuer", "https://it.invalid",
		"--service-account-key-file", c.path("sa.key"), "--service-account-signing-key-file", c.path("sa.key"),
		"--token-auth-file", c.path("token.csv"), "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16")
	c.eventually(upWithin, "the API server", func() error { return c.get("/readyz", nil) })
	c.start("kube-controller-manager", manager, "--kubeconfig", c.path("kubeconfig"), "--leader-elect=false", "--bind-address", "127.0.0.1",
		"--secure-port", "0", "--controllers", "*,-node-lifecycle-controller,-node-ipam-controller,-taint-eviction-controller",
		"--service-account-private-key-file", c.path("sa.key"))
	c.must(http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{
		"name": namespace, "labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
	}})
	return c
}

func privateKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

func (c *controlPlane) path(name string) string { return filepath.Join(c.dir, name) }

func (c *controlPlane) write(name, content string) {
	c.t.Helper()
	if err := os.WriteFile(c.path(name), []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// start runs a program until the test ends. The end of its log is shown when the
// test has failed.
func (c *controlPlane) start(name, path string, args ...string) {
	c.t.Helper()
	log, err := os.Create(c.path(name + ".log"))
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		c.t.Fatalf("start %s: %v", name, err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
		if c.t.Failed() {
			content, _ := os.ReadFile(log.Name())
			c.t.Logf("the end of %s's log:\n%s", name, content[max(0, len(content)-2000):])
		}
	})
}

// refusal is an answer of the API server that is not a success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d: %.500s", r.status, r.text) }

// do asks the API server.
func (c *controlPlane) do(method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, apiURL+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiToken)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/strategic-merge-patch+json")
	}
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode > 299:
		return &refusal{res.StatusCode, fmt.Sprintf("%s %s: %s", method, path, answer)}
	case into == nil:
		return nil
	}
	return json.Unmarshal(answer, into)
}

func (c *controlPlane) get(path string, into any) error { return c.do(http.MethodGet, path, nil, into) }

func (c *controlPlane) must(method, path string, body any) {
	c.t.Helper()
	if err := c.do(method, path, body, nil); err != nil {
		c.t.Fatal(err)
	}
}

func (c *controlPlane) eventually(within time.Duration, what string, do func() error) {
	c.t.Helper()
	var err error
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = do(); err == nil {
			return
		}
	}
	c.t.Fatalf("%s: not within %v: %v", what, within, err)
}

// kubectl runs it against this control plane; the output has what it warns of.
func (c *controlPlane) kubectl(input string, args ...string) (string, error) {
	cmd := exec.Command(tool(c.t, "kubectl"), append([]string{"--kubeconfig", c.path("kubeconfig"), "--cache-dir", c.path("cache")}, args...)...)
	cmd.Stdin = bytes.NewReader([]byte(input))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// helm runs it against this control plane.
func (c *controlPlane) helm(args ...string) {
	c.t.Helper()
	began := time.Now()
	out, err := run("", tool(c.t, "helm"), append([]string{"--kubeconfig", c.path("kubeconfig"), "--namespace", namespace}, args...)...)
	if err != nil {
		c.t.Fatalf("%v\n%s", err, out)
	}
	c.t.Logf("helm %s: %v", args[0], time.Since(began).Round(time.Millisecond))
}

// ip is the program that makes links and addresses.
func ip(args ...string) error {
	_, err := run("", "ip", args...)
	return err
}
