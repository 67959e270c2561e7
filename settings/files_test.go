package settings

import (
	"strings"
	"testing"

	"mainstem/test/harness"

	"github.com/spf13/cobra"
)

func loadAll(t *testing.T, args, environ []string) (Loaded, error) {
	t.Helper()
	var got Loaded
	cmd := &cobra.Command{Use: Serve, SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) (err error) {
		got, err = Load(Serve, cmd.Flags(), environ)
		return err
	}}
	AddFlags(cmd, Serve)
	cmd.SetArgs(append([]string{"--data-dir=d", "--node-id=n"}, args...))
	err := cmd.Execute()
	return got, err
}

// TestEachLayerWinsOverTheOneBelow adds the layers one by one, lowest first.
func TestEachLayerWinsOverTheOneBelow(t *testing.T) {
	const key = "server.bind_address"
	set := func(port string) string { return "[server]\nbind_address = \"127.0.0.1:" + port + "\"\n" }
	files, args, environ := map[string]string{"empty": ""}, []string{}, []string{}
	for _, step := range []struct {
		add          func()
		want, source string
	}{
		{func() {}, "0.0.0.0:4437", "default"},
		{func() { args = append(args, "--profile=dev") }, "127.0.0.1:4437", "profile dev"},
		{func() { files["config/default.toml"] = set("1") }, "127.0.0.1:1", "config/default.toml"},
		{func() { files["config/dev.toml"] = set("2") }, "127.0.0.1:2", "config/dev.toml"},
		{func() { files["config/local.toml"] = set("3") }, "127.0.0.1:3", "config/local.toml"},
		{func() { files["own.toml"] = set("4"); args = append(args, "--config=own.toml") }, "127.0.0.1:4", "own.toml"},
		{func() { environ = append(environ, "DS_SERVER__BIND_ADDRESS=127.0.0.1:5") }, "127.0.0.1:5", "DS_SERVER__BIND_ADDRESS"},
		{func() { args = append(args, "--addr=127.0.0.1:6") }, "127.0.0.1:6", "--addr"},
	} {
		step.add()
		harness.InDirWith(t, files)
		got, err := loadAll(t, args, environ)
		if err != nil {
			t.Fatalf("with %s on top: %v", step.source, err)
		}
		if got.Server.Addr != step.want || got.sources[key] != step.source {
			t.Fatalf("got %s from %s, want %s from %s", got.Server.Addr, got.sources[key], step.want, step.source)
		}
	}
}

func TestAFileSetsEveryKindOfValue(t *testing.T) {
	harness.InDirWith(t, map[string]string{"own.toml": `
limits.max_body_bytes = 4096
limits.max_header_bytes = "128KiB"
[http]
cors_origins = ["https://a.example", "https://b.example"]
allow_wildcard_cors = true
state_offsets = true
[cluster]
join = "a:1,b:2"
bootstrap_expect = 3
[transport.connection]
long_poll_timeout_secs = 2.5
sse_reconnect_interval = "40s"
[observability]
rust_log = "mainstem=trace,warn"
`})
	got, err := loadAll(t, []string{"--config=own.toml"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want any }{
		"body":      {got.Limits.BodyBytes, int64(4096)},
		"header":    {got.Limits.HeaderBytes, int64(128 << 10)},
		"origins":   {strings.Join(got.HTTP.CORSOrigins, " "), "https://a.example https://b.example"},
		"wildcard":  {got.HTTP.allowWildcardCORS, true},
		"offsets":   {got.HTTP.StateOffsets, true},
		"join":      {strings.Join(got.Cluster.Join, " "), "a:1 b:2"},
		"expect":    {got.Cluster.BootstrapExpect, 3},
		"long-poll": {got.HTTP.LongPollTimeout.String(), "2.5s"},
		"reconnect": {got.HTTP.SSEReconnectInterval.String(), "40s"},
		"level":     {got.Log.Level, "warn"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
}

func TestWhatIsWrongInFilesIsNamedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		files         map[string]string
		args, environ []string
		want          []string
	}{
		"no such file":        {nil, []string{"--config=none.toml"}, nil, []string{"[load_config] --config: open none.toml"}},
		"no TOML":             {map[string]string{"own.toml": "a = 1\nb == 2\n"}, []string{"--config=own.toml"}, nil, []string{"[load_config] --config: own.toml:2:"}},
		"unknown key":         {map[string]string{"config/local.toml": "[server]\nbind_adress = \"x\"\n"}, nil, nil, []string{"server.bind_adress (config/local.toml) is not known; did you mean server.bind_address?"}},
		"number for text":     {map[string]string{"config/local.toml": "[server]\nbind_address = 5\n"}, nil, nil, []string{"server.bind_address (config/local.toml): 5 has the wrong type; want a text in quotes"}},
		"text for number":     {map[string]string{"config/local.toml": "[raft]\ntrailing_logs = \"7\"\n"}, nil, nil, []string{`raft.trailing_logs (config/local.toml): "7" is a text; want number without quotes`}},
		"text for truth":      {map[string]string{"config/local.toml": "[http]\nallow_wildcard_cors = \"true\"\n"}, nil, nil, []string{"want true|false without quotes"}},
		"array for text":      {map[string]string{"config/local.toml": "[server]\nbind_address = [\"x\"]\n"}, nil, nil, []string{"has the wrong type"}},
		"numbers in an array": {map[string]string{"config/local.toml": "[cluster]\njoin = [1]\n"}, nil, nil, []string{"1 in the array has the wrong type"}},
		"no file to read":     {map[string]string{"config/local.toml/x": ""}, nil, nil, []string{"[load_config] read config/local.toml"}},
		"truth for number":    {map[string]string{"config/local.toml": "[raft]\ntrailing_logs = true\n"}, nil, nil, []string{"raft.trailing_logs (config/local.toml): true has the wrong type; want number"}},
		"truth for bytes":     {map[string]string{"config/local.toml": "[limits]\nmax_body_bytes = true\n"}, nil, nil, []string{`want a number of bytes, or a text like "64KiB"`}},
		"truth for a list":    {map[string]string{"config/local.toml": "[cluster]\njoin = true\n"}, nil, nil, []string{"want an array of texts"}},
		"number for truth":    {map[string]string{"config/local.toml": "[http]\nallow_wildcard_cors = 1\n"}, nil, nil, []string{"http.allow_wildcard_cors (config/local.toml): 1 has the wrong type; want true|false"}},
		"a section as a key":  {map[string]string{"config/local.toml": "server = 1\n"}, nil, nil, []string{"server (config/local.toml) is not known"}},
		"in memory for ACID":  {map[string]string{"config/local.toml": "[storage]\nacid_backend = \"in-memory\"\n"}, nil, nil, []string{"storage.acid_backend (config/local.toml)", "set storage.mode to memory"}},
		"the key twice":       {nil, []string{"--webhooks-key-encryption-key-file=k"}, []string{"DS_WEBHOOKS__KEY_ENCRYPTION_KEY=" + strings.Repeat("0f", 32)}, []string{"[validate_config] webhooks.key_encryption_key_file (--webhooks-key-encryption-key-file)", "keep one"}},
		"unknown profile":     {nil, []string{"--profile=pord"}, nil, []string{`profile (--profile): "pord" is not built in, and there is no file config/pord.toml; did you mean prod?`}},
		"a path as profile":   {nil, nil, []string{"DS_PROFILE=../x"}, []string{`profile (DS_PROFILE): "../x" is no name of a file`}},
		"anyone in prod":      {nil, []string{"--profile=prod-tls"}, nil, []string{"[validate_config] auth: profile prod-tls lets nobody in unknown"}},
		"wildcard in prod":    {nil, []string{"--profile=prod"}, nil, []string{"[validate_config] http.cors_origins (--cors-origins)"}},
		"wrong beneath, right above": {map[string]string{"config/default.toml": "[raft]\ntrailing_logs = 0\n"}, []string{"--raft-trailing-logs=50"}, nil,
			[]string{"raft.trailing_logs (config/default.toml): 0 is not between"}},
		"all at once": {map[string]string{"config/default.toml": "x = 1\n", "config/local.toml": "y = 1\n"}, []string{"--config=none.toml", "--node-id=a/b"}, []string{"DS_QQ=1"},
			[]string{"x (config/default.toml)", "y (config/local.toml)", "none.toml", "DS_QQ", "[validate_config] cluster.node_id"}},
	} {
		t.Run(name, func(t *testing.T) {
			harness.InDirWith(t, c.files)
			_, err := loadAll(t, c.args, c.environ)
			mustName(t, err, c.want...)
		})
	}
}

func TestAProfileOfOnesOwnIsAFile(t *testing.T) {
	harness.InDirWith(t, map[string]string{"config/staging.toml": "[limits]\nmax_live_readers = 7\n"})
	got, err := loadAll(t, nil, []string{"DS_PROFILE=staging"})
	if err != nil || got.Limits.LiveReaders != 7 {
		t.Fatalf("got %d and %v, want 7", got.Limits.LiveReaders, err)
	}
}

func TestProductionNamesItsOrigins(t *testing.T) {
	harness.InDirWith(t, nil)
	for name, args := range map[string][]string{
		"named": {"--profile=prod", "--cors-origins=https://a.example", "--auth-keys=k"}, "allowed": {"--profile=prod", "--allow-wildcard-cors=true", "--allow-anonymous=true"},
	} {
		if _, err := loadAll(t, args, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
