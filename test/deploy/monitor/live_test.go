package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	startsWithin    = 60 * time.Second
	evaluatesWithin = 60 * time.Second
)

// TestRealPrometheusOverThreeNodes: every rule is evaluated without an error, every
// expression of the dashboard has an answer, every metric that either names is
// there, promtool finds nothing to say of what the nodes show, and the table of
// metrics is what they show. Then a node is killed, and the alerts see that.
func TestRealPrometheusOverThreeNodes(t *testing.T) {
	promtool, prometheus := tool(t, "promtool"), tool(t, "prometheus")
	c := startWithTLS(t)
	work(t, c)
	there := map[string]bool{}
	var pages []string
	for _, n := range c.Nodes {
		a, err := n.Client().Get("/metrics", nil)
		if err != nil || a.Status != 200 {
			t.Fatalf("metrics of %s: %s, %v", n.ID, a, err)
		}
		run(t, string(a.Body), promtool, "check", "metrics")
		pages = append(pages, string(a.Body))
		for _, name := range shown(string(a.Body)) {
			there[name] = true
		}
	}
	expressions := expressions(t)
	for where, expr := range expressions {
		for _, name := range metricForm.FindAllString(expr, -1) {
			if !there[name] && !strings.HasPrefix(expr[strings.Index(expr, name)+len(name):], ":") {
				t.Errorf("%s: no node shows %s", where, name)
			}
		}
	}
	wantTable(t, pages)

	p := startPrometheus(t, prometheus, c)
	p.waitForRules(t)
	harness.Eventually(t, evaluatesWithin, "most of the expressions show something", func() error {
		silent := map[string]bool{}
		for where, expr := range expressions {
			found, err := p.query(expr)
			if err != nil {
				t.Fatalf("%s: %s: %v", where, expr, err)
			}
			if len(found) == 0 {
				silent[where] = true
			}
		}
		if len(silent) > len(expressions)/3 {
			return fmt.Errorf("%d of %d expressions show nothing: %q", len(silent), len(expressions), keys(silent))
		}
		t.Logf("%d expressions; nothing is shown by %q", len(expressions), keys(silent))
		return nil
	})
	seesALoss(t, p, c)
}

// seesALoss kills a follower and waits for what the alerts look at, without the
// time for which they wait.
func seesALoss(t *testing.T, p *scraper, c *harness.Cluster) {
	t.Helper()
	at := map[string]string{}
	for _, r := range rules(t) {
		at[r.Alert] = r.Expr
	}
	for _, alert := range []string{"MainstemQuorumAtRisk", "MainstemMemberDown", "MainstemNoLeader"} {
		if found, err := p.query(at[alert]); err != nil || len(found) > 0 {
			t.Errorf("%s before the loss: %v, %v", alert, found, err)
		}
	}
	lost := c.Followers()[0]
	lost.Kill()
	for _, alert := range []string{"MainstemQuorumAtRisk", "MainstemMemberDown"} {
		harness.Eventually(t, evaluatesWithin, alert+" sees the loss", func() error {
			found, err := p.query(at[alert])
			if err == nil && (len(found) != 1 || alert == "MainstemMemberDown" && found[0].Metric["member"] != lost.ID) {
				err = fmt.Errorf("got %v", found)
			}
			return err
		})
	}
}

// startWithTLS starts three nodes that prove to each other who they are, so that
// there are certificates to watch, and that make snapshots all the time.
func startWithTLS(t *testing.T) *harness.Cluster {
	t.Helper()
	c := harness.NewCluster(t, 3)
	ca, dir := harness.NewAuthority(t), harness.Dir(t)
	for _, n := range c.Nodes {
		f := harness.CredentialsIn(t, filepath.Join(dir, n.ID))
		cert, key := ca.Issue(nil, n.ID)
		f.Write(t, cert, key, ca.PEM())
		n.Args = []string{"--peer-tls=required", "--peer-tls-cert", f.Cert, "--peer-tls-key", f.Key, "--peer-tls-ca", f.CA,
			"--raft-snapshot-threshold=16", "--raft-snapshot-interval=1s"}
	}
	c.Start()
	c.WaitReady()
	return c
}

// work does something of each kind through each node.
func work(t *testing.T, c *harness.Cluster) {
	t.Helper()
	text := harness.Headers("Content-Type", "text/plain")
	for _, n := range c.Nodes {
		client, name := n.Client(), "by-"+n.ID
		must := func(a harness.Answer, err error) {
			t.Helper()
			if err != nil || a.Status >= 500 {
				t.Fatalf("through %s: %s, %v", n.ID, a, err)
			}
		}
		must(client.Create(name, text, "x"))
		tail, err := client.Tail(context.Background(), name, "now")
		if err != nil {
			t.Fatal(err)
		}
		defer tail.Close()
		producer := harness.Headers("Content-Type", "text/plain", "Producer-Id", "p", "Producer-Epoch", "0", "Producer-Seq", "0")
		must(client.Append(name, producer, "once"))
		must(client.Append(name, producer, "once"))
		for i := range 20 {
			must(client.Append(name, text, fmt.Sprint(i)))
		}
		must(client.Head(name, nil))
		must(client.Read(name, "-1", nil))
		must(client.Read("none", "-1", nil))
		must(client.Get("/elsewhere", nil))
		if _, err := tail.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

// scraper is a Prometheus that scrapes a cluster each second.
type scraper struct{ client *harness.Client }

func startPrometheus(t *testing.T, program string, c *harness.Cluster) *scraper {
	t.Helper()
	dir, addr := harness.Dir(t), harness.FreeAddr(t)
	var targets []string
	for _, n := range c.Nodes {
		targets = append(targets, n.Addr)
	}
	rules, err := json.Marshal(inRepository(t, "deploy", "prometheus", "mainstem.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s]\nscrape_configs:\n  - job_name: mainstem\n    static_configs: [{targets: [%s]}]\n",
		rules, strings.Join(targets, ", "))
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	proc, err := harness.StartProcess(filepath.Join(dir, "log"), nil, program, "--config.file", path, "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proc.Kill()
		if log, err := os.ReadFile(filepath.Join(dir, "log")); err == nil && t.Failed() {
			t.Logf("prometheus wrote:\n%s", log)
		}
	})
	p := &scraper{harness.NewClient("http://" + addr)}
	harness.Eventually(t, startsWithin, "three nodes are scraped", func() error {
		up, err := p.query("up == 1")
		if err == nil && len(up) != 3 {
			err = fmt.Errorf("%d are up", len(up))
		}
		return err
	})
	return p
}

// sample is one series of an answer.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

func (p *scraper) get(path string, into any) error {
	a, err := p.client.Get(path, nil)
	if err != nil {
		return err
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		return fmt.Errorf("%w in %.200s", err, a.Body)
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

func (p *scraper) query(expr string) ([]sample, error) {
	var found struct{ Result []sample }
	err := p.get("/api/v1/query?query="+url.QueryEscape(expr), &found)
	return found.Result, err
}

// waitForRules waits until each rule was evaluated, without an error.
func (p *scraper) waitForRules(t *testing.T) {
	t.Helper()
	harness.Eventually(t, evaluatesWithin, "every rule was evaluated", func() error {
		var all struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		if err := p.get("/api/v1/rules", &all); err != nil {
			return err
		}
		count := 0
		for _, g := range all.Groups {
			for _, r := range g.Rules {
				count++
				if r.Health != "ok" {
					return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
				}
			}
		}
		if want := len(rules(t)); count != want {
			return fmt.Errorf("%d rules, want %d", count, want)
		}
		return nil
	})
}

// shown are the names of the series on a page of metrics.
func shown(page string) (names []string) {
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") {
			names = append(names, line[:strings.IndexAny(line, "{ ")])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
