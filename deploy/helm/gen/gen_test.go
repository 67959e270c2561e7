package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// TestChartPagesAreFresh fails when values.yaml, a setting of the program, the
// alerts or the dashboard have changed and `make docs` was not run.
func TestChartPagesAreFresh(t *testing.T) {
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, chartDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s/%s is not what it is made from; run make docs", chartDir, name)
		}
	}
}

// TestManagedSettingsExist keeps the list of what the chart sets itself from
// naming settings that are there no more.
func TestManagedSettingsExist(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, settingsPath))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range managed {
		if !strings.Contains(string(page), "| `"+key+"`") && !strings.Contains(string(page), "| `"+key+".") {
			t.Errorf("%s has no setting %s", settingsPath, key)
		}
	}
}

func TestValuesSayWhatTheyMayBe(t *testing.T) {
	bad := map[string]string{
		"a leaf without a description": "a: 1\n",
		"a mapping of anything":        "# -- It.\na: {}\n",
		"a list of anything":           "# -- It.\na: []\n",
		"a null of any type":           "# -- It.\na: null\n",
		"a schema that is no JSON":     "# -- It.\n# @schema {x\na: 1\n",
	}
	for name, source := range bad {
		t.Run(name, func(t *testing.T) {
			v, err := parseValues([]byte(source))
			if err == nil {
				_, err = v.schema(nil)
			}
			if err == nil || !strings.Contains(err.Error(), "a: ") {
				t.Errorf("got %v, want an error that names the value", err)
			}
		})
	}
}

func TestSchemaFollowsTheValues(t *testing.T) {
	v, err := parseValues([]byte("a:\n  # -- It.\n  # @schema {\"minimum\": 1}\n  b: 3\n# -- Settings.\n# @settings\nc: {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	settings, err := parseSettings("| `x.y_z` | `--y` | `DS_X__Y_Z` | true or false | `false` | says it |\n| `storage.data_dir` | a | b | text | d | e |\n")
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.schema(settings)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(s["properties"])
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"a":{"additionalProperties":false,"properties":{"b":{"description":"It.","minimum":1,"type":"integer"}},"type":"object"},` +
		`"c":{"additionalProperties":false,"description":"Settings.","properties":{"x":{"additionalProperties":false,` +
		`"properties":{"y_z":{"description":"says it","type":"boolean"}},"type":"object"}},"type":"object"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
