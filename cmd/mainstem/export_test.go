package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mainstem/cli"
)

// tool runs a command that is a client against a server.
func tool(t *testing.T, base, stdin string, args ...string) (out, notes string, code int) {
	t.Helper()
	var o, e strings.Builder
	code = run(t.Context(), cli.Invocation{Args: args, Environ: []string{"STREAM_URL=" + base}, Stdin: strings.NewReader(stdin), Stdout: &o, Stderr: &e})
	return o.String(), e.String(), code
}

func works(t *testing.T, base, stdin, says string, args ...string) (out string) {
	t.Helper()
	out, notes, code := tool(t, base, stdin, args...)
	if code != 0 || !strings.Contains(notes, says) {
		t.Fatalf("%q: exit %d, %s", args, code, notes)
	}
	return out
}

// ofTheCrate is a file as the Rust crate writes it: pretty, and with times of its
// own kind.
const ofTheCrate = `{
  "format_version": 1,
  "exported_at": "2026-01-31T12:00:00.123456789Z",
  "server_version": "0.3.0",
  "streams": [
    {
      "name": "events/clicks",
      "config": {"content_type": "application/json", "ttl_seconds": 3600, "expires_at": "2026-01-31T13:00:00.123456789Z", "created_closed": false},
      "closed": true,
      "created_at": "2026-01-31T11:00:00Z",
      "updated_at": "2026-01-31T11:59:00Z",
      "total_bytes": 16,
      "message_count": 2,
      "next_offset": "0000000000000002_0000000000000016",
      "messages": [
        {"offset": "0000000000000000_0000000000000000", "data_base64": "eyJhIjoxfQ=="},
        {"offset": "0000000000000001_0000000000000007", "data_base64": "WzIsIngsIl0="}
      ]
    },
    {
      "name": "b\u00fccher/100% caf\u00e9?",
      "config": {"content_type": "text/plain", "ttl_seconds": null, "expires_at": "2100-01-01T00:00:00.5Z", "created_closed": false},
      "closed": false,
      "created_at": "2026-01-31T11:00:00Z",
      "total_bytes": 7, "message_count": 2, "next_offset": "0000000000000002_0000000000000007",
      "messages": [{"offset": "x", "data_base64": "aGk="}, {"offset": "y", "data_base64": "dGhlcmU="}]
    },
    {"name": "over", "config": {"content_type": "text/plain", "ttl_seconds": null, "expires_at": "2020-01-01T00:00:00Z", "created_closed": false},
     "closed": false, "created_at": "2019-01-31T11:00:00Z", "updated_at": null, "total_bytes": 0, "message_count": 0, "next_offset": "", "messages": []},
    {"name": "empty", "config": {"content_type": "application/octet-stream", "ttl_seconds": null, "expires_at": null, "created_closed": true},
     "closed": true, "created_at": "2026-01-31T11:00:00Z", "updated_at": null, "total_bytes": 0, "message_count": 0, "next_offset": "", "messages": []}
  ]
}
`

func TestAFileOfTheRustCrateIsImported(t *testing.T) {
	_, base := dev(t)
	works(t, base, ofTheCrate, "over ended at 2020-01-01T00:00:00Z and is left out\nimported 3 streams with 4 messages, skipped 1", "import")
	if got := must(t, base, "", "", "read", "events/clicks", "-q"); got != `[{"a":1},[2,"x,"]]`+"\n" {
		t.Errorf("JSON: %q", got)
	}
	head := must(t, base, "", "", "head", "events/clicks", "--output-json")
	if !strings.Contains(head, `"closed":true,"ttl_seconds":"3600"`) || strings.Contains(head, "expires_at") {
		t.Errorf("JSON: %s", head)
	}
	const text = "b%C3%BCcher/100%25%20caf%C3%A9%3F"
	if got := must(t, base, "", "", "read", text, "-q"); got != "hithere" {
		t.Errorf("text: %q", got)
	}
	if head := must(t, base, "", "", "head", text, "--output-json"); !strings.Contains(head, `"expires_at":"2100-01-01T00:00:00.5Z"`) {
		t.Errorf("text: %s", head)
	}
	if head := must(t, base, "", "", "head", "empty", "--output-json"); !strings.Contains(head, `"closed":true`) {
		t.Errorf("empty: %s", head)
	}
	if got := must(t, base, "", "", "ls"); strings.Count(got, "\n") != 3 {
		t.Errorf("there are %q", got)
	}
}

func TestAnExportIsImportedToTheSameBytes(t *testing.T) {
	_, from := dev(t)
	binary := strings.Repeat("\x00\xff\n{", 700<<10) // some reads of a chunk each
	names := map[string][]string{
		"text":        {"--content-type=text/plain", "--ttl=1h"},
		"json":        {"--json", "--retain-age=1h", "--retain-bytes=1MiB"},
		"binary":      {"--content-type=application/x-b"},
		"a%2Fb/%20/x": {"--closed"},
		"raw/%FF":     {"--content-type=text/plain"},
		"ends":        {"--expires-at=2100-01-01T00:00:00Z"},
	}
	for name, flags := range names {
		must(t, from, "", "created", append([]string{"create", name}, flags...)...)
	}
	must(t, from, "one", "appended", "append", "text")
	must(t, from, "two", "appended", "append", "text")
	must(t, from, `[{"n":12345678901234567890, "n":1}, "\u00e9,", []]`, "appended", "append", "json")
	must(t, from, binary, "appended", "append", "binary")
	must(t, from, "x", "appended", "append", "raw/%FF")
	must(t, from, "", "", "close", "text")

	file := filepath.Join(t.TempDir(), "all.json")
	works(t, from, "", "exported 6 streams", "export", "-o", file)
	_, to := dev(t)
	works(t, to, "", "imported 6 streams", "import", "-i", file)
	for name := range names {
		if got, want := must(t, to, "", "", "read", name, "-q"), must(t, from, "", "", "read", name, "-q"); got != want {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		}
		trim := func(head string) string { // what is given out anew
			head, _, _ = strings.Cut(head, `,"etag"`)
			before, after, _ := strings.Cut(head, `"next_offset"`)
			_, after, _ = strings.Cut(after, ",")
			return before + after
		}
		if got, want := trim(must(t, to, "", "", "head", name, "--output-json")), trim(must(t, from, "", "", "head", name, "--output-json")); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"format_version":1,"exported_at":"`, `"name":"text","config":{"content_type":"text/plain","ttl_seconds":3600,"expires_at":null,"created_closed":false}`,
		`"name":"a/b/ /x","path":"a%2Fb/%20/x"`, `"closed":true,"total_bytes":6,"message_count":1,"next_offset":"0000000000000001_0000000000000006"`,
		`"retention_bytes":1048576,"retention_age_seconds":3600`} {
		if !strings.Contains(string(content), want) {
			t.Errorf("the file has no %s", want)
		}
	}
	if got := works(t, from, "", "exported 1 streams with 3 messages", "export", "--stream=json"); !strings.Contains(got, base64.StdEncoding.EncodeToString([]byte(`{"n":12345678901234567890, "n":1}`))) {
		t.Errorf("one stream: %s", got)
	}
}

func TestConflictsOfAnImport(t *testing.T) {
	_, base := dev(t)
	must(t, base, "", "created", "create", "empty", "--content-type=text/plain", "mine")
	_, notes, code := tool(t, base, ofTheCrate, "import", "--on-conflict=fail")
	if code != 4 || !strings.Contains(notes, "empty is there already, and nothing was imported") {
		t.Fatalf("fail: exit %d, %s", code, notes)
	}
	if got := must(t, base, "", "", "ls"); got != "empty\n" {
		t.Fatalf("fail: there are %q", got)
	}
	works(t, base, ofTheCrate, "empty is there already and is left as it is", "import", "--on-conflict=skip")
	if got := must(t, base, "", "", "read", "empty", "-q"); got != "mine" {
		t.Fatalf("skip: %q", got)
	}
	works(t, base, ofTheCrate, "imported 3 streams with 4 messages, skipped 1", "import", "--on-conflict=replace")
	if got := must(t, base, "", "", "read", "empty", "-q"); got != "" {
		t.Fatalf("replace: %q", got)
	}
	if _, _, code := tool(t, base, ofTheCrate, "import", "--on-conflict=ask"); code != 1 {
		t.Fatalf("an unknown word: exit %d", code)
	}
}

// A file that ends or goes wrong in the middle leaves whole streams only.
func TestABrokenImportLeavesNoHalfStream(t *testing.T) {
	_, base := dev(t)
	whole := strings.Index(ofTheCrate, `"data_base64": "dGhlcmU="`)
	for name, file := range map[string]string{
		"cut off":         ofTheCrate[:whole],
		"no base64":       strings.Replace(ofTheCrate, "dGhlcmU=", "dGhl!", 1),
		"no data":         strings.Replace(ofTheCrate, `"data_base64": "dGhlcmU="`, `"data": ""`, 1),
		"another version": strings.Replace(ofTheCrate, `"format_version": 1`, `"format_version": 2`, 1),
		"no version":      strings.Replace(ofTheCrate, `"format_version": 1,`, "", 1),
		"no export":       `{"a":[1,{"streams":[]}]}`,
		"no JSON":         "PK\x03\x04",
		"nothing":         "",
		"no messages":     `{"format_version":1,"streams":[{"name":"x","config":{"content_type":"text/plain"}}]}`,
		"messages first":  `{"format_version":1,"streams":[{"messages":[],"name":"x","config":{}}]}`,
		"no JSON message": `{"format_version":1,"streams":[{"name":"x","config":{"content_type":"application/json"},"messages":[{"data_base64":"ew=="}]}]}`,
	} {
		out, notes, code := tool(t, base, file, "import")
		if code == 0 || out != "" {
			t.Errorf("%s: exit %d, %s", name, code, notes)
		}
		for line := range strings.Lines(must(t, base, "", "", "ls")) {
			if n := strings.TrimSpace(line); n != "events/clicks" {
				t.Errorf("%s: %s is left", name, n)
			}
		}
	}
	if _, notes, code := tool(t, base, ofTheCrate+ofTheCrate, "import"); code == 0 || !strings.Contains(notes, "more follows after the end") {
		t.Errorf("two files in one: exit %d, %s", code, notes)
	}
}
