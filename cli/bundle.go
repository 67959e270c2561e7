package cli

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mainstem/doctor"
	"mainstem/operator"
	"mainstem/phase"
	"mainstem/settings"
)

const (
	bundleFormat     = 1
	bundleTimeFormat = "20060102T150405Z"
	profileMost      = time.Minute
	profileStd       = 5 * time.Second
	profileGrace     = 10 * time.Second // for the answer to come, beside its own length
)

// bundler is the command that gathers what helps to find out what is wrong.
type bundler struct {
	examiner
	file    string
	profile time.Duration
	quiet   bool
	out     io.Writer
	notes   io.Writer
	now     func() time.Time
	version string
}

// bundleManifest says what is in a bundle, and what is not.
type bundleManifest struct {
	Format  int            `json:"format"`
	Version string         `json:"version"` // of the program that made it
	MadeAt  time.Time      `json:"made_at"`
	Members []bundleMember `json:"members"`
}

type bundleMember struct {
	NodeID  string        `json:"node_id,omitempty"`
	URL     string        `json:"url,omitempty"`
	Error   string        `json:"error,omitempty"` // why its status is not here
	Files   []bundledFile `json:"files"`
	Missing []missingFile `json:"missing"`
}

type bundledFile struct {
	Name   string `json:"name"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

type missingFile struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

func debugCommand(in Invocation) *cobra.Command {
	cmd := &cobra.Command{Use: "debug", Short: "Gather what helps to find out what is wrong"}
	b := &bundler{examiner: examiner{token: settings.Variable(in.Environ, operator.TokenVariable)}, out: in.Stdout, notes: in.Stderr, now: time.Now, version: in.Version}
	bundle := &cobra.Command{
		Use: "bundle", Short: "Write what all members tell of themselves into one file to send to somebody who helps", Args: NoArgs,
		Long: "Write status, health, metrics, the last lines of the log, settings without secrets, and profiles of all members into a .tar.gz, with what\n" +
			"the doctor finds. No stream's content is in it. A member that does not answer is named in manifest.json and holds nothing up. Profiles are\n" +
			"there where --url names the operators' ports (server.admin_address); settings and logs where the token in " + operator.TokenVariable + " lets, or on the node's machine.",
		Example: "  mainstem debug bundle --url http://10.0.0.1:9437,http://10.0.0.2:9437,http://10.0.0.3:9437 -o bundle.tar.gz",
		RunE:    func(cmd *cobra.Command, _ []string) error { return b.run(cmd.Context()) },
	}
	b.addFlags(bundle, in)
	bundle.Flags().StringVarP(&b.file, "output", "o", "", "the file to write, which must not exist; - for standard output; mainstem-debug-TIME.tar.gz when not given")
	bundle.Flags().DurationVar(&b.profile, "profile", profileStd, "how long to watch the processor's use of each member that serves profiles; 0s for not at all")
	bundle.Flags().BoolVarP(&b.quiet, "quiet", "q", false, "no progress")
	cmd.AddCommand(bundle)
	return cmd
}

func (b *bundler) run(ctx context.Context) (err error) {
	if b.profile < 0 || b.profile > profileMost {
		return phase.Load.In(fmt.Errorf("--profile %s: use 0s to %s", b.profile, profileMost))
	}
	if err := b.named(); err != nil {
		return err
	}
	to := b.out
	if b.file != "-" {
		b.file = cmp.Or(b.file, "mainstem-debug-"+b.now().UTC().Format(bundleTimeFormat)+".tar.gz")
		f, err := os.OpenFile(b.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("make the bundle: %w", err)
		}
		defer func() {
			if err = errors.Join(err, f.Close()); err != nil {
				err = errors.Join(err, os.Remove(b.file))
			}
		}()
		to = f
	}
	if err := b.write(ctx, to); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	if b.file != "-" {
		_, err = fmt.Fprintln(b.out, b.file)
	}
	return err
}

// write gathers and writes. The manifest comes last, when all is known.
func (b *bundler) write(ctx context.Context, to io.Writer) error {
	z := gzip.NewWriter(to)
	p := &packer{tar: tar.NewWriter(z), at: b.now().UTC()}
	b.note("asking the members")
	x := doctor.Examination{At: b.now(), Members: b.examine(ctx), TokenVariable: operator.TokenVariable}
	all := x.Findings()
	if _, err := p.addJSON("doctor.json", map[string]any{"level": doctor.Worst(all), "findings": all}); err != nil {
		return err
	}
	m := bundleManifest{Format: bundleFormat, Version: b.version, MadeAt: p.at}
	for i, e := range x.Members {
		member, err := b.member(ctx, p, i, e)
		if err != nil {
			return err
		}
		m.Members = append(m.Members, member)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if _, err := p.addJSON("manifest.json", m); err != nil {
		return err
	}
	return errors.Join(p.tar.Close(), z.Close())
}

// page is one thing to ask a member for.
type page struct {
	name, path string
	within     time.Duration
	any        bool // an answer that is not 200 says something too
}

func (b *bundler) pages() []page {
	pages := []page{
		{name: "status.json", path: operator.StatusPath},
		{name: "startupz.txt", path: operator.StartPath, any: true},
		{name: "readyz.txt", path: operator.ReadyPath + "?verbose", any: true},
		{name: "healthz.txt", path: operator.HealthPath + "?cluster&verbose", any: true},
		{name: "metrics.txt", path: operator.MetricsPath},
		{name: "config.json", path: operator.ConfigPath},
		{name: "log.ndjson", path: operator.LogPath},
		{name: "profiles/goroutine.txt", path: operator.ProfilesPath + "goroutine?debug=1"},
		{name: "profiles/heap.pb.gz", path: operator.ProfilesPath + "heap"},
		{name: "profiles/allocs.pb.gz", path: operator.ProfilesPath + "allocs"},
	}
	if b.profile > 0 {
		seconds := max(1, int(b.profile.Seconds()))
		pages = append(pages, page{name: "profiles/cpu.pb.gz", path: operator.ProfilesPath + "profile?seconds=" + strconv.Itoa(seconds), within: b.profile + profileGrace})
	}
	return pages
}

// member writes what one member has to tell. Only an error of the file is one.
func (b *bundler) member(ctx context.Context, p *packer, at int, e doctor.Member) (bundleMember, error) {
	m := bundleMember{NodeID: e.ID, URL: e.URL, Files: []bundledFile{}, Missing: []missingFile{}}
	dir := fmt.Sprintf("nodes/%d", at+1)
	if settings.NodeIDForm.MatchString(e.ID) { // a server that is not ours may say anything
		dir = "nodes/" + e.ID
	}
	var answer *refusedError
	if e.Err != nil {
		m.Error = e.Err.Error()
		b.note(fmt.Sprintf("%s does not answer: %v", e.Name(), e.Err))
		if !errors.As(e.Err, &answer) { // nothing there answers; one that starts says at least that
			return m, nil
		}
	}
	for _, page := range b.pages() {
		b.note(e.Name() + ": " + page.name)
		body, err := b.fetch(ctx, e.URL, page.path, cmp.Or(page.within, examineTimeout))
		if err != nil && !(page.any && errors.As(err, &answer)) {
			m.Missing = append(m.Missing, missingFile{Name: page.name, Error: err.Error()})
			continue
		}
		file, err := p.add(dir+"/"+page.name, body)
		if err != nil {
			return m, err
		}
		m.Files = append(m.Files, file)
	}
	return m, nil
}

func (b *bundler) note(sentence string) {
	if !b.quiet {
		fmt.Fprintln(b.notes, sentence)
	}
}

// packer writes the files of a bundle.
type packer struct {
	tar *tar.Writer
	at  time.Time
}

func (p *packer) add(name string, content []byte) (bundledFile, error) {
	if err := p.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: p.at}); err != nil {
		return bundledFile{}, err
	}
	_, err := p.tar.Write(content)
	sum := sha256.Sum256(content)
	return bundledFile{Name: name, Bytes: len(content), SHA256: hex.EncodeToString(sum[:])}, err
}

func (p *packer) addJSON(name string, v any) (bundledFile, error) {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return bundledFile{}, err
	}
	return p.add(name, append(content, '\n'))
}
