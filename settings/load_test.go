package settings

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"mainstem/phase"
)

// loadWith is load as a command does it, flags parsed by cobra.
func loadWith(t *testing.T, command string, args, environ []string) (Config, error) {
	t.Helper()
	var got Loaded
	cmd := &cobra.Command{Use: command, SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) (err error) {
		got, err = Load(command, cmd.Flags(), environ)
		return err
	}}
	AddFlags(cmd, command)
	cmd.SetArgs(args)
	err := cmd.Execute()
	return got.Config, err
}

// sample returns two texts that a setting takes and that are not its default,
// and obey the rules between settings.
func sample(t *testing.T, s setting) (a, b string) {
	t.Helper()
	switch {
	case s.key == "http.stream_base_path":
		return "/a", "/b/c"
	case s.key == "raft.heartbeat_timeout":
		return "450ms", "490ms"
	case s.key == "raft.election_timeout":
		return "900ms", "2s"
	case s.key == "raft.leader_lease_timeout":
		return "100ms", "150ms"
	case s.key == "limits.max_in_flight_bytes", s.key == "limits.max_forwarded_bytes":
		return "96MiB", "100000000"
	case s.key == "limits.max_header_bytes":
		return "128KiB", "300000"
	case strings.HasPrefix(s.key, "cluster.tls."), s.key == "cluster.gossip_encryption", s.key == "cluster.gossip_key_path", s.key == "transport.mode", strings.HasPrefix(s.key, "transport.tls."), s.key == "transport.http.versions":
		return "", "" // they bind each other; TestTransportRules has them
	case strings.HasPrefix(s.key, "proxy."):
		return "", "" // they bind each other; TestProxyRules has them
	case s.value.kind == "URL":
		return "https://auth.example/check?x=1", "http://127.0.0.1:9/"
	case s.value.kind == "HEADER,…":
		return "X-User,X-Role", "Remote-User"
	case s.key == "auth.jwt.algorithms":
		return "HS256,ES256", "EdDSA"
	case s.value.kind == "text":
		return "some-text", "other.text"
	case s.value.kind == "HOST:PORT":
		return "127.0.0.1:7001", "localhost:7002"
	case s.value.kind == "HOST:PORT,…":
		return "a.example:4439,b.example:4439", "[::1]:4439"
	case s.value.kind == "ORIGIN,…":
		return "https://a.example,https://b.example:8443", "http://localhost:3000"
	case s.value.kind == "duration":
		return "700ms", "5s"
	case s.value.kind == "number":
		return "50", "77"
	case s.value.kind == "bytes":
		return "2MiB", "3000000"
	case s.value.kind == "ORIGIN":
		return "https://a.example", "http://b.example:8080"
	case s.value.kind == "key":
		return strings.Repeat("0f", 32), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	case s.value.kind == "true|false":
		return "true", "true"
	case s.value.kind == "bytes or %":
		return "2GiB", "4.5%"
	case s.value.kind == "NAME=VALUE,…":
		return "X-Key=a, Authorization=Basic eA==", "b=c"
	case s.value.kind == "share":
		return "0.25", "0"
	case s.key == "storage.mode":
		return ModeFileFast, ModeACID
	case s.value.kind == "wal|boltdb":
		return "boltdb", "boltdb"
	case s.value.kind == "text|json":
		return "json", "json"
	case s.value.kind == "debug|info|warn|error":
		return "error", "debug"
	}
	t.Fatalf("%s: the test has no sample for kind %q", s.key, s.value.kind)
	return "", ""
}

func TestEachFlagAndVariableSetsItsFieldAlone(t *testing.T) {
	base := []string{"--data-dir", "d", "--node-id", "n"}
	plain, err := loadWith(t, Serve, base, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Table() {
		if s.alias != "" || s.legacy {
			continue
		}
		t.Run(s.key, func(t *testing.T) {
			first, second := sample(t, s)
			if first == "" {
				t.Skip("bound to others; see TestTransportRules, TestPeerTLSRules, TestGossipRules")
			}
			want := plain
			if err := s.value.put(&want, first); err != nil {
				t.Fatal(err)
			}
			if reflect.DeepEqual(want, plain) {
				t.Fatal("the sample changes nothing")
			}
			args := base
			if s.key == "storage.data_dir" || s.key == "cluster.node_id" {
				args = without(base, "--"+s.flag)
			}
			for name, try := range map[string]struct{ args, environ []string }{
				"variable":            {args, []string{s.env() + "=" + first}},
				"flag":                {append([]string{"--" + s.flag + "=" + first}, args...), nil},
				"flag over variable":  {append(typed(s, first), args...), []string{s.env() + "=" + second}},
				"empty variable, set": {append(typed(s, first), args...), []string{s.env() + "="}},
			} {
				if s.flag == "" && name != "variable" {
					continue
				}
				got, err := loadWith(t, Serve, try.args, try.environ)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s: got %+v, want %+v", name, got, want)
				}
			}
		})
	}
}

// typed is a flag and its value as two words; one that means true takes none.
func typed(s setting, text string) []string {
	if s.value.truth {
		return []string{"--" + s.flag}
	}
	return []string{"--" + s.flag, text}
}

func without(args []string, flag string) (rest []string) {
	for i := 0; i < len(args); i += 2 {
		if args[i] != flag {
			rest = append(rest, args[i], args[i+1])
		}
	}
	return rest
}

func TestEachKindRefusesNonsenseByName(t *testing.T) {
	nonsense := map[string][]string{
		"text":           {"a\x00b", "a\nb"},
		"HOST:PORT":      {"nowhere", "h:99999", "h:", ":-1", "a:b:c"},
		"HOST:PORT,…":    {"nowhere", "a:1,b", ":4439", "h:0"},
		"ORIGIN,…":       {"a.example", "https://a.example/path", "*,x"},
		"duration":       {"5", "fast", "0s", "-1s"},
		"seconds":        {"5s", "x", "0", "-1", "NaN", "1e300"},
		"number":         {"x", "-3", "1.5", "99999999999"},
		"bytes":          {"x", "-1", "1.5MiB", "9999999999GB", "MiB"},
		"wal|boltdb":     {"WAL", "x"},
		"NAME=VALUE,…":   {"swordfish", "a b=c", "a=b\x01"},
		"share":          {"x", "-0.1", "1.5", "NaN", "5%"},
		"port":           {"0", "65536", "-1", "http"},
		"file|in-memory": {"in-memory", "disk"},

		"file-durable|acid|file-fast|memory": {"file", "Memory"},

		"text|json":                  {"xml"},
		"debug|info|warn|error":      {"loud"},
		"true|false":                 {"yes", "1", "TRUE"},
		"http|tls|mtls":              {"HTTPS"},
		"off|permissive|required":    {"on"},
		"off|accept|send|required":   {"on"},
		"http1|http2|h2c,…":          {"http3", "http1,http1"},
		"h2|http/1.1,…":              {"spdy"},
		"1.2|1.3":                    {"1.1", "2"},
		"none|x-forwarded|forwarded": {"all"},
		"none|header":                {"cookie"},
		"CIDR,…":                     {"10.0.0.0/99", "proxy.example"},
		"HEADER":                     {"a b", "x,y"},
		"URL":                        {"nowhere", "ftp://a", "https://", "https://u:p@a"},
		"HEADER,…":                   {"a b", "x:"},
		"ES256|EdDSA|RS256|HS256,…":  {"none", "ES256,ES256"},
		"ORIGIN":                     {"a.example", "https://", "https://a.example/path", "ftp://a.example"},
		"key":                        {"0f0f", "not a key"},
		"filter":                     {"loud", "mainstem=debug"},
		"bytes or %":                 {"x", "-1", "0", "0%", "100%", "-3%", "NaN%", "%", "1.5MiB"},
	}
	for _, s := range Table() {
		bad, known := nonsense[s.value.kind]
		if !known {
			t.Fatalf("%s: the test has no nonsense for kind %q", s.key, s.value.kind)
		}
		base := []string{"--data-dir=d"}
		if s.key == "storage.data_dir" {
			base = nil
		}
		for _, text := range bad {
			_, err := loadWith(t, Serve, base, []string{s.env() + "=" + text})
			named := s.key
			if s.alias != "" && s.value.kind == "text" {
				named = s.alias // it is judged under the present name
			}
			mustName(t, err, "[load_config] "+named, s.env())
			if s.flag == "" {
				continue
			}
			_, err = loadWith(t, Serve, append(base, "--"+s.flag+"="+text), nil)
			mustName(t, err, "[load_config] "+s.key, "--"+s.flag)
		}
	}
}

func mustName(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that names %q", parts)
	}
	var b strings.Builder
	phase.Report(&b, err)
	for _, part := range parts {
		if !strings.Contains(b.String(), part) {
			t.Fatalf("got error %q, want it to name %q", b.String(), part)
		}
	}
}

func TestRulesBetweenSettings(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string // "" for none
	}{
		"no data directory":         {[]string{}, "[validate_config] storage.data_dir (--data-dir)"},
		"plain":                     {[]string{"--data-dir=d"}, ""},
		"node id with a slash":      {[]string{"--data-dir=d", "--node-id=a/b"}, "[validate_config] cluster.node_id (--node-id)"},
		"node id too long":          {[]string{"--data-dir=d", "--node-id=" + strings.Repeat("x", 65)}, "(--node-id)"},
		"nobody's host":             {[]string{"--data-dir=d", "--peer-addr=0.0.0.0:4438"}, "[validate_config] cluster.advertise_host (--advertise-host)"},
		"empty host":                {[]string{"--data-dir=d", "--peer-addr=:4438"}, "(--advertise-host)"},
		"nobody's host, named":      {[]string{"--data-dir=d", "--peer-addr=0.0.0.0:4438", "--advertise-host=me"}, ""},
		"IPv6 for nobody":           {[]string{"--data-dir=d", "--peer-addr=[::]:4438"}, "(--advertise-host)"},
		"peer port is client port":  {[]string{"--data-dir=d", "--peer-addr=127.0.0.1:4437"}, "(--peer-addr)"},
		"gossip port is peer port":  {[]string{"--data-dir=d", "--gossip-addr=127.0.0.1:4438"}, "(--gossip-addr)"},
		"same port, other hosts":    {[]string{"--data-dir=d", "--addr=127.0.0.2:4438"}, ""},
		"port 0 three times":        {[]string{"--data-dir=d", "--addr=127.0.0.1:0", "--peer-addr=127.0.0.1:0", "--gossip-addr=127.0.0.1:0"}, ""},
		"election below heartbeat":  {[]string{"--data-dir=d", "--raft-election-timeout=10ms"}, "(--raft-election-timeout)"},
		"warns after refusing":      {[]string{"--data-dir=d", "--disk-soft-free=1GiB", "--disk-hard-free=2GiB"}, "(--disk-soft-free)"},
		"lease above heartbeat":     {[]string{"--data-dir=d", "--raft-leader-lease-timeout=1s"}, "(--raft-leader-lease-timeout)"},
		"base path without a slash": {[]string{"--data-dir=d", "--stream-base-path=v1"}, "(--stream-base-path)"},
		"base path with a query":    {[]string{"--data-dir=d", "--stream-base-path=/v1?x"}, "(--stream-base-path)"},
		"body above the raft limit": {[]string{"--data-dir=d", "--max-body-bytes=33MiB"}, "[load_config] limits.max_body_bytes (--max-body-bytes)"},
		"memory, joining":           {[]string{"--storage-mode=memory", "--join=a:1"}, "[validate_config] storage.mode (--storage-mode): memory is for one node alone, and cluster.join (--join) names others"},
		"memory, three of it":       {[]string{"--storage-mode=memory", "--bootstrap-expect=3"}, "[validate_config] storage.mode (--storage-mode): memory is for one node alone, and cluster.bootstrap_expect (--bootstrap-expect) is 3"},
		"memory needs no directory": {[]string{"--storage-mode=memory"}, ""},
		"memory ignores one":        {[]string{"--storage-mode=memory", "--data-dir=d"}, ""},
		"an endless port":           {[]string{"--data-dir=d", "--addr=127.0.0.1:70000"}, "[load_config] server.bind_address (--addr)"},
		"base path hides the rest":  {[]string{"--data-dir=d", "--stream-base-path=/v1/cluster"}, "[validate_config] http.stream_base_path (--stream-base-path)"},
		"free shares swapped":       {[]string{"--data-dir=d", "--disk-soft-free=2%", "--disk-hard-free=5%"}, "[validate_config] storage.disk_soft_free (--disk-soft-free): 2% is below storage.disk_hard_free, 5%"},
		"no nodes expected":         {[]string{"--data-dir=d", "--bootstrap-expect=0"}, "[load_config] cluster.bootstrap_expect (--bootstrap-expect)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadWith(t, Serve, c.args, nil)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			mustName(t, err, c.want)
		})
	}
}

func TestAllProblemsAreReportedAtOnceEachInItsPhase(t *testing.T) {
	_, err := loadWith(t, Serve, []string{"--bootstrap-expect=many", "--peer-addr=:4438"},
		[]string{"DS_CLUSTER__NODEID=x", "DS_LIMITS__MAX_BODY_BYTES=big"})
	var b strings.Builder
	phase.Report(&b, err)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	wants := []string{
		"[load_config] DS_CLUSTER__NODEID is not known; did you mean DS_CLUSTER__NODE_ID?",
		"[load_config] limits.max_body_bytes (DS_LIMITS__MAX_BODY_BYTES): ",
		"[load_config] cluster.bootstrap_expect (--bootstrap-expect): ",
		"[validate_config] storage.data_dir (--data-dir)",
		"[validate_config] cluster.advertise_host (--advertise-host)",
	}
	if len(lines) != len(wants) {
		t.Fatalf("got %d lines, want %d:\n%s", len(lines), len(wants), b.String())
	}
	for i, want := range wants {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d: got %q, want it to begin %q", i, lines[i], want)
		}
	}
}

func TestUnknownNamesPointAtTheNearest(t *testing.T) {
	for _, c := range []struct{ args, environ, want string }{
		{"--data-dirr=x", "", "did you mean --data-dir?"},
		{"--bootstrap_expect=3", "", "did you mean --bootstrap-expect?"},
		{"", "DS_SERVER_BIND_ADDRESS=:1", "did you mean DS_SERVER__BIND_ADDRESS?"},
		{"", "DS_STORAGE__DATADIR=x", "did you mean DS_STORAGE__DATA_DIR?"},
		{"", "DS_QQ=1", "DS_QQ is not known; docs/configuration.md"},
	} {
		args := []string{"--data-dir=d"}
		if c.args != "" {
			args = append(args, c.args)
		}
		_, err := loadWith(t, Serve, args, []string{c.environ})
		mustName(t, err, "[load_config]", c.want)
	}
}

func TestVariablesOfOthersArePassedOver(t *testing.T) {
	environ := []string{
		"PATH=/bin", "DSX=1", "DS_SERVICE_HOST=10.0.0.1", "DS_SERVICE_PORT=4437", "DS_SERVICE_PORT_HTTP=4437", "DS_PORT=tcp://10.0.0.1:4437",
		"DS_PORT_4437_TCP=tcp://10.0.0.1:4437", "DS_PORT_4437_TCP_ADDR=10.0.0.1", "DS_STORE_PORT_4437_TCP_PROTO=tcp", "DS_STORE_SERVICE_HOST=10.0.0.1",
	}
	if _, err := loadWith(t, Serve, []string{"--data-dir=d"}, environ); err != nil {
		t.Fatal(err)
	}
}

func TestOlderNamesInDecimalSeconds(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string
		environ []string
		want    string
		err     string
	}{
		"whole":             {nil, []string{"DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS=5"}, "5s", ""},
		"decimal":           {nil, []string{"DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS=0.5"}, "500ms", ""},
		"a flag wins":       {[]string{"--long-poll-timeout=2s"}, []string{"DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS=5"}, "2s", ""},
		"the present name":  {nil, []string{"DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT=250ms"}, "250ms", ""},
		"both in one place": {nil, []string{"DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT=1s", "DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS=1"}, "", "keep one"},
		"a duration, wrong": {nil, []string{"DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS=5s"}, "", "not a number of seconds"},
		"infinity":          {nil, []string{"DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS=Inf"}, "", "not a number of seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := loadWith(t, Dev, c.args, c.environ)
			if c.err != "" {
				mustName(t, err, "transport.connection.long_poll_timeout_secs", c.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got.HTTP.LongPollTimeout) != c.want {
				t.Fatalf("got %s, want %s", got.HTTP.LongPollTimeout, c.want)
			}
		})
	}
}

func TestDevListensOnLoopbackAndNeedsNothing(t *testing.T) {
	got, err := loadWith(t, Dev, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Server.Addr != "127.0.0.1:4437" || got.Storage.DataDir != "" {
		t.Fatalf("got address %q and data directory %q", got.Server.Addr, got.Storage.DataDir)
	}
	if _, err := loadWith(t, Dev, []string{"--join=a:1"}, nil); err == nil {
		t.Fatal("dev took --join")
	}
}

func TestNodeIDDefaultsToTheHostName(t *testing.T) {
	got, err := loadWith(t, Serve, []string{"--data-dir=d"}, nil)
	if err != nil {
		t.Skipf("this machine's host name is no node id: %v", err)
	}
	if got.Cluster.NodeID == "" {
		t.Fatal("the node id is empty")
	}
}

func TestARepeatedListFlagAdds(t *testing.T) {
	got, err := loadWith(t, Serve, []string{"--data-dir=d", "--join=a:1", "--join", "b:2,c:3,"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a:1", "b:2", "c:3"}; !reflect.DeepEqual(got.Cluster.Join, want) {
		t.Fatalf("got %q, want %q", got.Cluster.Join, want)
	}
}
