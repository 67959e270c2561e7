package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"mainstem/storage"
)

const (
	doctorFsyncFor = 3 * time.Second
	// Free space in a directory that is looked at, in parts of the disk.
	dirWarnPercent = 10
	dirBadPercent  = 3
)

// examinedDir is what was seen of a data directory on this machine.
type examinedDir struct {
	path        string
	free, total uint64
	fsync       *hdrhistogram.Histogram // nil: there was no room for it
	damage      error
	err         error // nothing is known
}

// doctor is the command that looks for what is wrong and says what to do.
type doctor struct {
	examiner
	dirs   []string
	asJSON bool
	failOn string
	out    io.Writer
}

func doctorCommand(in invocation) *cobra.Command {
	d := &doctor{examiner: examiner{token: variable(in.environ, adminTokenName)}, out: in.stdout}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look at all members of a cluster, and say what is wrong and what to do", Args: noArgs,
		Long: "Look at all members of a cluster and say what is wrong, why it matters and what to do. The nodes named by --url are asked, and then the\n" +
			"members that they know. A node tells its settings on its own machine, or to who has the token in " + adminTokenName + ".\n" +
			"Exit code 0 if all is well, 1 if something was found or the cluster could not be asked.",
		Example: "  mainstem doctor --url http://10.0.0.1:4437\n  mainstem doctor --url http://10.0.0.1:9437,http://10.0.0.2:9437 --data-dir /var/lib/mainstem --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	d.addFlags(cmd, in)
	cmd.Flags().StringSliceVar(&d.dirs, "data-dir", nil, "a data directory on this machine to look at too: its space, its marks of damage, and for some seconds how fast its disk is")
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print the findings as JSON")
	cmd.Flags().StringVar(&d.failOn, "fail-on", string(levelWarn), "from which level on the exit code is 1: warn or bad")
	return cmd
}

// addFlags are those by which members are reached.
func (x *examiner) addFlags(cmd *cobra.Command, in invocation) {
	node := variable(in.environ, urlName)
	if node == "" {
		node = defaultNodeURL
	}
	cmd.Flags().StringSliceVar(&x.urls, "url", []string{node}, "addresses of one node or several, the operators' ones (server.admin_address) where there are such ("+urlName+")")
}

// named makes the addresses URLs.
func (x *examiner) named() error {
	if len(x.urls) == 0 {
		return phaseLoad.in(errors.New("--url names no node"))
	}
	for i, address := range x.urls {
		x.urls[i] = asURL(address)
	}
	return nil
}

func (d *doctor) run(ctx context.Context) error {
	if d.failOn != string(levelWarn) && d.failOn != string(levelBad) {
		return phaseLoad.in(fmt.Errorf("--fail-on %q: use warn or bad", d.failOn))
	}
	if err := d.named(); err != nil {
		return err
	}
	x := examination{at: time.Now(), members: d.examine(ctx)}
	for _, path := range d.dirs {
		x.dirs = append(x.dirs, examineDir(ctx, path))
	}
	all := x.findings()
	if err := d.print(all); err != nil {
		return err
	}
	bad, warn := howMany(all, levelBad), howMany(all, levelWarn)
	if worst(all).rank() <= level(d.failOn).rank() {
		return fmt.Errorf("%d bad, %d to be warned of", bad, warn)
	}
	return nil
}

func howMany(all []finding, l level) (n int) {
	for _, f := range all {
		if f.Level == l {
			n++
		}
	}
	return n
}

func (d *doctor) print(all []finding) error {
	if d.asJSON {
		e := json.NewEncoder(d.out)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"level": worst(all), "findings": all})
	}
	for _, f := range all {
		fmt.Fprintf(d.out, "%-4s  %s: %s\n", f.Level, f.Check, f.What)
		if f.Level != levelOK {
			fmt.Fprintf(d.out, "      it matters: %s\n      what to do: %s\n", f.Why, f.Do)
		}
	}
	return nil
}

// examineDir looks at a data directory, of a node that may be running.
func examineDir(ctx context.Context, path string) examinedDir {
	d := examinedDir{path: path}
	use, err := vfs.Default.GetDiskUsage(path)
	if err != nil {
		d.err = err
		return d
	}
	d.free, d.total = use.AvailBytes, use.TotalBytes
	d.damage = storage.CheckUndamaged(vfs.Default, storage.Dir(path))
	if d.free < 4*fsyncFileBytes {
		return d // the measurement would take what a node needs
	}
	within, cancel := context.WithTimeout(ctx, 10*doctorFsyncFor)
	defer cancel()
	d.fsync, d.err = measureFsync(within, path, doctorFsyncFor)
	return d
}

// dirChecks are about data directories on this machine.
func dirChecks() []check {
	return []check{
		{name: "data directory", look: lookDirs,
			why: "a node keeps all it has there, and acknowledges nothing faster than that disk",
			do:  "free space on it, or use a faster disk; for damage: mainstem recover refill"},
	}
}

func lookDirs(x examination) (spots []spot) {
	for _, d := range x.dirs {
		if d.err != nil {
			spots = append(spots, spot{levelBad, "", fmt.Sprintf("%s could not be looked at: %v", d.path, d.err)})
			continue
		}
		if d.damage != nil {
			spots = append(spots, spot{levelBad, "", fmt.Sprintf("%s: %v", d.path, d.damage)})
		}
		percent := 100 * d.free / max(1, d.total)
		space := spot{levelOK, "", fmt.Sprintf("%s: %d%% of the disk is free", d.path, percent)}
		switch {
		case percent < dirBadPercent:
			space.level = levelBad
		case percent < dirWarnPercent:
			space.level = levelWarn
		}
		spots = append(spots, space)
		if d.fsync != nil {
			spots = append(spots, spotOfFsync(d))
		}
	}
	return spots
}

func spotOfFsync(d examinedDir) spot {
	sentence, ok := judgeFsync(d.fsync)
	s := spot{levelOK, "", fmt.Sprintf("%s: the disk is %s", d.path, sentence)}
	switch p99 := time.Duration(d.fsync.ValueAtQuantile(99)) * time.Microsecond; {
	case !ok:
		s.level = levelBad
	case p99 > fsyncGood:
		s.level = levelWarn
	}
	return s
}
