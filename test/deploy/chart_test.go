package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is one Kubernetes object as a template wrote it.
type object map[string]any

func (o object) String() string { return fmt.Sprintf("%v %v", o["kind"], o.at("metadata", "name")) }

// at is a field of a field …, nil if it is not there.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func parse(t *testing.T, rendered string) (objects []object) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(rendered))
	for {
		var o map[string]any
		if err := d.Decode(&o); err != nil {
			if len(objects) == 0 {
				t.Fatalf("no object was rendered: %v", err)
			}
			return objects
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
}

func find(t *testing.T, objects []object, kind string) object {
	t.Helper()
	for _, o := range objects {
		if o["kind"] == kind {
			return o
		}
	}
	t.Fatalf("no %s was rendered", kind)
	return nil
}

// TestChartIsCleanOverTheMatrix has helm lint the chart and render it, for each
// set of values, without an object twice or one that other objects look for and
// do not find.
func TestChartIsCleanOverTheMatrix(t *testing.T) {
	helm := tool(t, "helm")
	for name, values := range matrix {
		t.Run(name, func(t *testing.T) {
			if out, err := run(values, helm, "lint", "--strict", "--quiet", "--kube-version", kubeVersion, chart, "--values", "-"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			seen := map[string]bool{}
			objects := parse(t, render(t, values))
			for _, o := range objects {
				if seen[o.String()] {
					t.Errorf("%s is there twice", o)
				}
				seen[o.String()] = true
				if o.at("metadata", "namespace") != "streams" {
					t.Errorf("%s is not in the release's namespace", o)
				}
			}
			set := find(t, objects, "StatefulSet")
			if service := fmt.Sprintf("Service %v", set.at("spec", "serviceName")); !seen[service] {
				t.Errorf("the nodes' names come from %s, which is not there; there are %v", service, slices.Sorted(maps.Keys(seen)))
			}
			checkPod(t, set)
		})
	}
}

// checkPod holds what must be true of the nodes' pods whatever the values.
func checkPod(t *testing.T, set object) {
	t.Helper()
	pod := object(set.at("spec", "template", "spec").(map[string]any))
	container := object(pod["containers"].([]any)[0].(map[string]any))
	env := map[string]string{}
	for _, e := range container["env"].([]any) {
		e := e.(map[string]any)
		name := e["name"].(string)
		if _, twice := env[name]; twice {
			t.Errorf("%s is set twice", name)
		}
		env[name] = fmt.Sprint(e["value"])
	}
	var timeout int
	if _, err := fmt.Sscanf(env["DS_SERVER__SHUTDOWN_TIMEOUT"], "%ds", &timeout); err != nil {
		t.Fatalf("the shutdown timeout is %q", env["DS_SERVER__SHUTDOWN_TIMEOUT"])
	}
	if grace := pod["terminationGracePeriodSeconds"].(int); grace < timeout+5 {
		t.Errorf("the pod is killed %d s after it is told to stop, which may take %d s", grace, timeout)
	}
	if host := env["DS_CLUSTER__ADVERTISE_HOST"]; !strings.HasPrefix(host, "$(POD_NAME).") {
		t.Errorf("a node is known to the others as %q, want a name of its own that outlives its address", host)
	}
	if joins := strings.Count(env["DS_CLUSTER__JOIN"], ":4439"); fmt.Sprint(joins) != env["DS_CLUSTER__BOOTSTRAP_EXPECT"] {
		t.Errorf("%d addresses to join, and %s founders", joins, env["DS_CLUSTER__BOOTSTRAP_EXPECT"])
	}
	if root := container.at("securityContext", "readOnlyRootFilesystem"); root != true {
		t.Errorf("readOnlyRootFilesystem is %v", root)
	}
	if liveness := container.at("livenessProbe", "httpGet", "path"); liveness != "/livez" {
		t.Errorf("liveness asks %v, want /livez, which depends on no peer", liveness)
	}
}

func TestChartRefusesWhatCannotBeMeant(t *testing.T) {
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			out, err := tryRender(t, c.values)
			if err == nil {
				t.Fatalf("%s was taken:\n%.300s", c.values, out)
			}
			if !strings.Contains(err.Error(), c.because) {
				t.Errorf("the refusal does not say %q: %v", c.because, err)
			}
		})
	}
}

// TestEachSettingReachesTheNodeByItsVariable takes numbers, lists and nested
// sections through the template.
func TestEachSettingReachesTheNodeByItsVariable(t *testing.T) {
	rendered := render(t, matrix["settings"])
	for _, want := range []string{
		"- name: DS_LIMITS__MAX_BODY_BYTES\n              value: \"20MiB\"",
		"- name: DS_LIMITS__MAX_LIVE_READERS\n              value: \"1000000\"",
		"- name: DS_HTTP__CORS_ORIGINS\n              value: \"a.example,b.example\"",
		"- name: DS_AUTH__ALLOW_ANONYMOUS\n              value: \"true\"",
	} {
		if !strings.Contains(rendered, want) {
			t.Errorf("not rendered:\n%s", want)
		}
	}
}

// TestScalingUpRestartsNobody compares the pods of three nodes with those of five.
func TestScalingUpRestartsNobody(t *testing.T) {
	pod := func(values string) string {
		out, err := yaml.Marshal(find(t, parse(t, render(t, values)), "StatefulSet").at("spec", "template"))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if three, five := pod("replicaCount: 3"), pod("replicaCount: 5"); three != five {
		t.Errorf("three nodes have pods\n%s\nand five\n%s", three, five)
	}
}

// TestImmutableFieldsAreFrozen compares what Kubernetes never lets an upgrade
// change with what the first release had. A difference would make each existing
// installation impossible to upgrade: the golden file is never written anew.
func TestImmutableFieldsAreFrozen(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "frozen.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"defaults", "five nodes", "tls", "a digest", "settings", "extras", "a load balancer", "monitoring"} {
		t.Run(name, func(t *testing.T) {
			set := find(t, parse(t, render(t, matrix[name])), "StatefulSet")
			frozen := map[string]any{"name": set.at("metadata", "name")}
			for _, field := range []string{"selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"} {
				frozen[field] = set.at("spec", field)
			}
			got, err := yaml.Marshal(frozen)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(golden) {
				t.Errorf("got\n%s\nwant\n%s", got, golden)
			}
			if labels := fmt.Sprint(frozen); strings.Contains(labels, "version:") || strings.Contains(labels, "helm.sh/chart") {
				t.Error("a label that changes with each release is among them")
			}
		})
	}
}

// TestAlertsAndDashboardAreTakenOverWhole compares them with the files that
// promtool and the dashboard's tests judge.
func TestAlertsAndDashboardAreTakenOverWhole(t *testing.T) {
	objects := parse(t, render(t, matrix["monitoring"]))
	source, err := os.ReadFile("../../deploy/prometheus/mainstem.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules map[string]any
	if err := yaml.Unmarshal(source, &rules); err != nil {
		t.Fatal(err)
	}
	if got := find(t, objects, "PrometheusRule").at("spec"); !reflect.DeepEqual(got, any(rules)) {
		t.Errorf("the PrometheusRule is not the file:\n%v\n%v", got, rules)
	}
	dashboard, err := os.ReadFile("../../deploy/grafana/mainstem.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(find(t, objects, "ConfigMap").at("data", "mainstem.json")); strings.TrimSpace(got) != strings.TrimSpace(string(dashboard)) {
		t.Errorf("the dashboard is not the file: %d bytes of %d", len(got), len(dashboard))
	}
}
