package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"mainstem/doctor"
	"mainstem/operator"
	"mainstem/phase"
	"mainstem/settings"
	"mainstem/storage"
)

const doctorFsyncFor = 3 * time.Second

// consultation is the command that looks for what is wrong and says what to do.
type consultation struct {
	examiner
	dirs   []string
	asJSON bool
	failOn string
	out    io.Writer
}

func doctorCommand(in Invocation) *cobra.Command {
	d := &consultation{examiner: examiner{token: settings.Variable(in.Environ, operator.TokenVariable)}, out: in.Stdout}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look at all members of a cluster, and say what is wrong and what to do", Args: NoArgs,
		Long: "Look at all members of a cluster and say what is wrong, why it matters and what to do. The nodes named by --url are asked, and then the\n" +
			"members that they know. A node tells its settings on its own machine, or to who has the token in " + operator.TokenVariable + ".\n" +
			"Exit code 0 if all is well, 1 if something was found or the cluster could not be asked.",
		Example: "  mainstem doctor --url http://10.0.0.1:4437\n  mainstem doctor --url http://10.0.0.1:9437,http://10.0.0.2:9437 --data-dir /var/lib/mainstem --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	d.addFlags(cmd, in)
	cmd.Flags().StringSliceVar(&d.dirs, "data-dir", nil, "a data directory on this machine to look at too: its space, its marks of damage, and for some seconds how fast its disk is")
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print the findings as JSON")
	cmd.Flags().StringVar(&d.failOn, "fail-on", string(doctor.Warn), "from which level on the exit code is 1: warn or bad")
	return cmd
}

// addFlags are those by which members are reached.
func (x *examiner) addFlags(cmd *cobra.Command, in Invocation) {
	cmd.Flags().StringSliceVar(&x.urls, "url", []string{nodeURL(in.Environ)}, "addresses of one node or several, the operators' ones (server.admin_address) where there are such ("+settings.URLName+")")
}

// named makes the addresses URLs.
func (x *examiner) named() error {
	if len(x.urls) == 0 {
		return phase.Load.In(errors.New("--url names no node"))
	}
	for i, address := range x.urls {
		x.urls[i] = asURL(address)
	}
	return nil
}

func (d *consultation) run(ctx context.Context) error {
	if d.failOn != string(doctor.Warn) && d.failOn != string(doctor.Bad) {
		return phase.Load.In(fmt.Errorf("--fail-on %q: use warn or bad", d.failOn))
	}
	if err := d.named(); err != nil {
		return err
	}
	x := doctor.Examination{At: time.Now(), Members: d.examine(ctx), TokenVariable: operator.TokenVariable}
	for _, path := range d.dirs {
		x.Dirs = append(x.Dirs, examineDir(ctx, path))
	}
	all := x.Findings()
	if err := d.print(all); err != nil {
		return err
	}
	bad, warn := howMany(all, doctor.Bad), howMany(all, doctor.Warn)
	if doctor.Worst(all).AsBadAs(doctor.Level(d.failOn)) {
		return fmt.Errorf("%d bad, %d to be warned of", bad, warn)
	}
	return nil
}

func howMany(all []doctor.Finding, l doctor.Level) (n int) {
	for _, f := range all {
		if f.Level == l {
			n++
		}
	}
	return n
}

func (d *consultation) print(all []doctor.Finding) error {
	if d.asJSON {
		e := json.NewEncoder(d.out)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"level": doctor.Worst(all), "findings": all})
	}
	for _, f := range all {
		fmt.Fprintf(d.out, "%-4s  %s: %s\n", f.Level, f.Check, f.What)
		if f.Level != doctor.OK {
			fmt.Fprintf(d.out, "      it matters: %s\n      what to do: %s\n", f.Why, f.Do)
		}
	}
	return nil
}

// examineDir looks at a data directory, of a node that may be running.
func examineDir(ctx context.Context, path string) doctor.Dir {
	d := doctor.Dir{Path: path}
	use, err := vfs.Default.GetDiskUsage(path)
	if err != nil {
		d.Err = err
		return d
	}
	d.Free, d.Total = use.AvailBytes, use.TotalBytes
	d.Damage = storage.CheckUndamaged(vfs.Default, storage.Dir(path))
	if d.Free < 4*fsyncFileBytes {
		return d // the measurement would take what a node needs
	}
	within, cancel := context.WithTimeout(ctx, 10*doctorFsyncFor)
	defer cancel()
	d.Fsync, d.Err = measureFsync(within, path, doctorFsyncFor)
	return d
}
