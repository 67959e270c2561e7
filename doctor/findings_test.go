package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"mainstem/cluster"
)

// doctored is a sound cluster of three, which a case makes unsound.
type doctored struct {
	at      time.Time
	members []*Member
	pages   map[string][]string // lines of metrics by node
	dirs    []Dir
}

func soundCluster() *doctored {
	d := &doctored{at: time.Unix(1_800_000_000, 0), pages: map[string][]string{}}
	for _, id := range []string{"a", "b", "c"} {
		st := cluster.Status{NodeID: id, ClusterID: "one", Leader: "a", Term: 3, FailureTolerance: 1}
		for _, other := range []string{"a", "b", "c"} {
			st.Members = append(st.Members, cluster.Member{NodeID: other, Voter: true, Leader: other == "a", Reachable: true, Version: "1.0",
				HTTPAddr: other + ":4437", Disk: cluster.Disk{Level: cluster.DiskOK, FreeBytes: 50, TotalBytes: 100}})
		}
		d.members = append(d.members, &Member{ID: id, URL: "http://" + id + ":4437", Status: st, Settings: map[string]string{
			"cluster.bootstrap_expect": "3", "cluster.tls.mode": "required", "cluster.gossip_encryption": "required",
			"cluster.peer_address": "10.0.0.1:4438", "cluster.gossip_address": "10.0.0.1:4439",
		}})
		d.tell(id, fmt.Sprintf("mainstem_last_backup_timestamp_seconds %d", d.at.Add(-time.Hour).Unix()))
		d.tell(id, fmt.Sprintf(`mainstem_certificate_expiry_timestamp_seconds{use="peers"} %d`, d.at.Add(60*24*time.Hour).Unix()))
	}
	d.tell("a", `mainstem_member_clock_offset_seconds{member="b"} 0.002`)
	return d
}

func (d *doctored) tell(id, line string) { d.pages[id] = append(d.pages[id], line) }

func (d *doctored) of(id string) *Member {
	return d.members[slices.Index([]string{"a", "b", "c"}, id)]
}

// fsyncs tells that all writes of a log took up to a bound.
func (d *doctored) fsyncs(id, bound string, n int) {
	d.tell(id, "# TYPE mainstem_fsync_seconds histogram")
	for _, le := range []string{"0.005", bound, "+Inf"} {
		count := n
		if le == "0.005" && bound != le {
			count = 0
		}
		d.tell(id, fmt.Sprintf(`mainstem_fsync_seconds_bucket{store="log",le="%s"} %d`, le, count))
	}
	d.tell(id, `mainstem_fsync_seconds_sum{store="log"} 1`)
	d.tell(id, fmt.Sprintf(`mainstem_fsync_seconds_count{store="log"} %d`, n))
}

func (d *doctored) away(id string) {
	for _, e := range d.members {
		for i := range e.Status.Members {
			if e.Status.Members[i].NodeID == id {
				e.Status.Members[i].Reachable = false
			}
		}
		e.Status.FailureTolerance = 0
	}
	d.of(id).Status, d.of(id).Err = cluster.Status{}, errors.New("connection refused")
}

func (d *doctored) findings() []Finding {
	x := Examination{At: d.at, Dirs: d.dirs, TokenVariable: "TOKEN"}
	for _, e := range d.members {
		e.Metrics = ParseMetrics([]byte(strings.Join(d.pages[e.ID], "\n") + "\n"))
		x.Members = append(x.Members, *e)
	}
	return x.Findings()
}

func TestASoundClusterHasNoFindings(t *testing.T) {
	all := soundCluster().findings()
	if Worst(all) != OK || len(all) < 15 {
		t.Fatalf("got %d findings: %+v", len(all), all)
	}
}

func TestTheDoctorFindsEach(t *testing.T) {
	slow := hdrhistogram.New(1, FsyncWorst.Microseconds(), 3)
	_ = slow.RecordValue(300_000)
	each := func(d *doctored, change func(*cluster.Status)) {
		for _, e := range d.members {
			change(&e.Status)
		}
	}
	for name, c := range map[string]struct {
		spoil func(d *doctored)
		want  []string // level, check, and words of each that is not ok
	}{
		"a member away": {func(d *doctored) { d.away("c") },
			[]string{"bad answers c does not answer: connection refused", "bad tolerance 0 more of 3 voters"}},
		"a member that refuses": {func(d *doctored) {
			d.away("c")
			d.of("c").Refused = true
		}, []string{"bad tolerance 0 more of 3 voters", "warn answers c does not tell its status: connection refused"}},
		"a learner away": {func(d *doctored) {
			d.away("c")
			each(d, func(st *cluster.Status) {
				if len(st.Members) > 0 {
					st.Members[2].Voter, st.FailureTolerance = false, 0
				}
			})
		}, []string{"warn answers c does not", "warn tolerance 2 voters bear no more losses than 1"}},
		"one way cut":     {func(d *doctored) { d.of("b").Status.Members[2].Reachable = false }, []string{"bad reach b hears nothing from c"}},
		"no leader":       {func(d *doctored) { d.of("b").Status.Leader = "" }, []string{"bad leader b knows no leader"}},
		"two clusters":    {func(d *doctored) { d.of("b").Status.ClusterID = "two" }, []string{"bad leader not of one cluster: one on a, c; two on b"}},
		"a clock ahead":   {func(d *doctored) { d.tell("b", `mainstem_member_clock_offset_seconds{member="c"} 3`) }, []string{"warn clocks clock of c is 3s ahead of that of b"}},
		"a clock behind":  {func(d *doctored) { d.tell("b", `mainstem_member_clock_offset_seconds{member="c"} -40`) }, []string{"bad clocks clock of b is 40s ahead of that of c"}},
		"expect":          {func(d *doctored) { d.of("c").Settings["cluster.bootstrap_expect"] = "1" }, []string{"warn bootstrap-expect 1 on c; 3 on a, b"}},
		"version":         {func(d *doctored) { each(d, func(st *cluster.Status) { st.Members[1].Version = "1.1" }) }, []string{"warn versions 1.0 on a, c; 1.1 on b"}},
		"lag":             {func(d *doctored) { d.of("a").Status.Members[1].Lag = 5000 }, []string{"warn lag b has not applied 5000"}},
		"no backup":       {func(d *doctored) { d.pages = map[string][]string{"a": {"mainstem_last_backup_timestamp_seconds 0"}} }, []string{"warn backup no backup was ever"}},
		"an old backup":   {func(d *doctored) { d.at = d.at.Add(48 * time.Hour) }, []string{"warn backup is 49h0m0s old"}},
		"settings":        {func(d *doctored) { d.of("a").Settings, d.of("a").SettingsErr = nil, errors.New("403") }, []string{"warn settings a does not tell its settings: 403"}},
		"a disk low":      {func(d *doctored) { d.of("b").Status.Members[1].Disk.Level = cluster.DiskLow }, []string{"warn disk disk of b: low, 50% free"}},
		"a disk full":     {func(d *doctored) { d.of("b").Status.Members[1].Disk.Level = cluster.DiskFull }, []string{"bad disk disk of b: full"}},
		"a damaged copy":  {func(d *doctored) { d.of("b").Status.Members[1].Damage = "a torn table" }, []string{"bad damage copy of b is damaged: a torn table"}},
		"damage once":     {func(d *doctored) { d.tell("c", `mainstem_corruption_total{store="log"} 2`) }, []string{"warn damage c found 2 damaged"}},
		"replicas differ": {func(d *doctored) { d.tell("c", `mainstem_scrub_mismatch_total 1`) }, []string{"warn damage c saw replicas differ in 1"}},
		"a slow disk":     {func(d *doctored) { d.fsyncs("a", "0.05", 500) }, []string{"warn fsync log of a took up to 50ms"}},
		"too slow a disk": {func(d *doctored) { d.fsyncs("a", "0.5", 500) }, []string{"bad fsync log of a took up to 500ms"}},
		"few slow writes": {func(d *doctored) { d.fsyncs("a", "0.5", 20) }, nil},
		"a fast disk":     {func(d *doctored) { d.fsyncs("a", "0.005", 500) }, nil},
		"a certificate": {func(d *doctored) {
			d.tell("b", fmt.Sprintf(`mainstem_certificate_expiry_timestamp_seconds{use="clients"} %d`, d.at.Add(5*24*time.Hour).Unix()))
		}, []string{"warn certificates that b shows to clients ends at"}},
		"a certificate of a day": {func(d *doctored) {
			d.tell("b", fmt.Sprintf(`mainstem_certificate_expiry_timestamp_seconds{use="clients"} %d`, d.at.Add(24*time.Hour).Unix()))
		}, []string{"bad certificates that b shows to clients ends at"}},
		"an ended certificate": {func(d *doctored) {
			d.tell("b", fmt.Sprintf(`mainstem_certificate_expiry_timestamp_seconds{use="clients"} %d`, d.at.Unix()-1))
		}, []string{"bad certificates that b shows to clients ended at"}},
		"plain peers":  {func(d *doctored) { d.of("b").Settings["cluster.tls.mode"] = "permissive" }, []string{"warn peer encryption b takes connections between nodes in plain"}},
		"plain gossip": {func(d *doctored) { d.of("b").Settings["cluster.gossip_encryption"] = "off" }, []string{"warn gossip encryption b takes gossip in plain"}},
		"plain on loopback": {func(d *doctored) {
			s := d.of("b").Settings
			s["cluster.tls.mode"], s["cluster.peer_address"] = "off", "127.0.0.1:1"
		}, nil},
		"a directory": {func(d *doctored) {
			d.dirs = []Dir{{Path: "/x", Err: errors.New("no such directory")}, {Path: "/y", Free: 2, Total: 100, Fsync: slow, Damage: errors.New("marked")}}
		}, []string{"bad data directory /x could not be looked at", "bad data directory /y: marked", "bad data directory /y: 2% of", "bad data directory too slow"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := soundCluster()
			c.spoil(d)
			var got []Finding
			for _, f := range d.findings() {
				if f.Level == OK {
					continue
				}
				if got = append(got, f); f.Why == "" || f.Do == "" {
					t.Errorf("%+v does not say why it matters or what to do", f)
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %+v, want %q", got, c.want)
			}
			for i, want := range c.want {
				f := got[i]
				level, rest, _ := strings.Cut(want, " ")
				words, named := strings.CutPrefix(rest, f.Check+" ")
				if string(f.Level) != level || !named || !strings.Contains(f.What, words) {
					t.Errorf("got %+v, want %q", f, want)
				}
			}
		})
	}
}

func TestTheAdviceNamesTheToken(t *testing.T) {
	d := soundCluster()
	d.away("c")
	d.of("b").Settings, d.of("b").SettingsErr = nil, errors.New("403")
	named := 0
	for _, f := range d.findings() {
		if strings.Contains(f.Do, "set TOKEN") {
			named++
		}
	}
	if named != 2 {
		t.Fatalf("got %d findings that name the token's variable, want those of answers and settings", named)
	}
}

func TestNobodyAnsweringIsBad(t *testing.T) {
	x := Examination{At: time.Now(), Members: []Member{{URL: "http://x", Err: errors.New("refused")}}}
	if all := x.Findings(); Worst(all) != Bad || all[0].Check != "answers" {
		t.Fatalf("got %+v", all)
	}
}
