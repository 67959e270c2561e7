package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mainstem/cluster"
	"mainstem/phase"
	"mainstem/recovery"
	"mainstem/storage"
)

// epochLetters is how many random letters a recovery adds to a cluster's id.
const epochLetters = 8

// recoverer works on the data directories of stopped nodes.
type recoverer struct {
	out, err io.Writer
	now      func() time.Time

	asJSON bool
	plan   string
	dirs   []string
	yes    bool
	force  bool
	lost   recovery.Named
}

// recoverCommand repairs what a running cluster cannot repair by itself.
func recoverCommand(in Invocation) *cobra.Command {
	r := &recoverer{out: in.Stdout, err: in.Stderr, now: time.Now}
	cmd := &cobra.Command{
		Use: "recover", Short: "Repair stopped nodes: after the loss of a majority, or of one node's data",
		Long: "Work on the data directories of stopped nodes. Nothing is deleted: what is not used any more is moved aside, within the data directory.\n" +
			"docs/operations.md says when to use which, step by step.",
	}
	plan := &cobra.Command{
		Use: "plan DIRECTORY|FILE...", Short: "Say who holds what, who can lead a new cluster, and what may be lost; change nothing",
		Long: "Read data directories to the last byte, and plans made on other machines with --json; change nothing.\n" +
			"The plan that is made of all of them is what mainstem recover apply carries out.",
		Args: words(1, 99),
		RunE: func(_ *cobra.Command, args []string) error { return r.makePlan(args) },
	}
	plan.Flags().BoolVar(&r.asJSON, "json", false, "print the plan for mainstem recover apply, or for another plan")
	apply := &cobra.Command{
		Use: "apply --plan FILE --data-dir DIRECTORY", Short: "Make a new cluster of the survivors of a plan",
		Long: "Carry out a plan on the data directories of this machine; run it with the same plan on each machine, the one of the plan's base first.\n" +
			"The base keeps its data and is the new cluster's only voter; the others are set aside and come back as learners.",
		Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.apply(cmd.Context()) },
	}
	apply.Flags().StringVar(&r.plan, "plan", "", "the plan, from mainstem recover plan --json")
	refill := &cobra.Command{
		Use: "refill --data-dir DIRECTORY", Short: "Set the data of one damaged node aside, so that the others refill it",
		Long: "Read a data directory to the last byte and, if something in it is damaged, move all of it aside. The node keeps its name and its cluster;\n" +
			"started with --join it comes back without a vote, is refilled by the others, and votes then. The others need a quorum without it.",
		Args: NoArgs,
		RunE: func(*cobra.Command, []string) error { return r.refill() },
	}
	refill.Flags().StringVar(&r.lost.NodeID, "node-id", "", "the node's name, where it cannot be read any more")
	refill.Flags().StringVar(&r.lost.ClusterID, "cluster-id", "", "the id of its cluster, where it cannot be read any more")
	for _, c := range []*cobra.Command{apply, refill} {
		c.Flags().StringArrayVar(&r.dirs, "data-dir", nil, "data directory of a stopped node; may be repeated")
		c.Flags().BoolVar(&r.yes, "yes", false, "do it; without it nothing is changed")
		c.Flags().BoolVar(&r.force, "force", false, "do what is advised against")
	}
	cmd.AddCommand(plan, apply, refill)
	return cmd
}

func (r *recoverer) makePlan(args []string) error {
	var nodes []recovery.Facts
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return fmt.Errorf("look at %s: %w", arg, err)
		}
		if info.IsDir() {
			f, err := recovery.Look(storage.Dir(arg), r.progress(arg))
			if err != nil {
				return err
			}
			nodes = append(nodes, f)
			continue
		}
		p, err := readPlan(arg)
		if err != nil {
			return err
		}
		nodes = append(nodes, p.Nodes...)
	}
	p := recovery.MakePlan(nodes, strings.ToLower(rand.Text()[:epochLetters]))
	var err error
	if r.asJSON {
		err = json.NewEncoder(r.out).Encode(p)
	} else {
		err = printPlan(r.out, p)
	}
	if err != nil {
		return fmt.Errorf("print the plan: %w", err)
	}
	if p.Problem != "" && !r.asJSON { // as JSON the facts are wanted, for a plan of more of them
		return errors.New(p.Problem)
	}
	return nil
}

func readPlan(path string) (p recovery.Plan, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return p, fmt.Errorf("read plan: %w", err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("read plan %s: %w; it is to be what mainstem recover plan --json printed", path, err)
	}
	return p, nil
}

func (r *recoverer) apply(ctx context.Context) error {
	if r.plan == "" || len(r.dirs) == 0 {
		return phase.Load.In(errors.New("mainstem recover apply needs --plan FILE, and --data-dir DIRECTORY at least once"))
	}
	p, err := readPlan(r.plan)
	if err != nil {
		return err
	}
	if err := p.Applicable(r.force); err != nil {
		return err
	}
	dirs, err := existing(r.dirs)
	if err != nil {
		return err
	}
	if dirs, err = p.BaseFirst(dirs); err != nil {
		return err
	}
	if !r.yes {
		if err := printPlan(r.out, p); err != nil {
			return fmt.Errorf("print the plan: %w", err)
		}
		return errors.New("nothing was changed; add --yes to carry out this plan")
	}
	for _, dir := range dirs {
		done, err := p.Apply(ctx, dir, r.options(string(dir)))
		if err != nil {
			return err
		}
		fmt.Fprintf(r.out, "%s: node %s: %s\n", dir, done.NodeID, done.What)
	}
	return nil
}

// refill works on one directory after the other; each is whole before the next.
func (r *recoverer) refill() error {
	if len(r.dirs) == 0 {
		return phase.Load.In(errors.New("mainstem recover refill needs --data-dir DIRECTORY"))
	}
	dirs, err := existing(r.dirs)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := r.refillOne(dir); err != nil {
			return err
		}
	}
	return nil
}

func (r *recoverer) refillOne(dir storage.Dir) (err error) {
	lock, err := storage.LockDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	o := r.options(string(dir))
	plan, err := recovery.PlanRefill(dir, r.lost, o)
	if err != nil {
		return err
	}
	for _, finding := range plan.Findings {
		fmt.Fprintln(r.out, finding)
	}
	if !r.yes {
		return fmt.Errorf("nothing was changed; make sure that the other nodes have a quorum (mainstem cluster status) and add --yes to move the data in %s into %s", dir, plan.Into())
	}
	done, err := plan.Refill(dir, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "%s: node %s: %s\n", dir, done.NodeID, done.What)
	return nil
}

// existing refuses a directory that is not there: a typing error would make it.
func existing(names []string) (dirs []storage.Dir, err error) {
	for _, name := range names {
		if _, err := os.Stat(name); err != nil {
			return nil, fmt.Errorf("--data-dir: %w", err)
		}
		dirs = append(dirs, storage.Dir(name))
	}
	return dirs, nil
}

func (r *recoverer) options(dir string) recovery.Options {
	return recovery.Options{
		Quarantine: "quarantine-" + r.now().UTC().Format("20060102T150405Z"),
		Force:      r.force, Progress: r.progress(dir),
		Fatal: func(err error) { // the disk fails: what is there stays as it is
			phase.Report(r.err, err)
			os.Exit(1)
		},
		Alive: func(ctx context.Context, addr string) string {
			_, clusterID, err := cluster.WhoIs(ctx, cluster.TCP{}, addr, "mainstem-recover")
			if err != nil {
				return ""
			}
			return clusterID
		},
	}
}

// progress says, at most once a second, how far the reading is.
func (r *recoverer) progress(dir string) recovery.Progress {
	said := r.now()
	return func(part string, done, total int64) {
		if now := r.now(); now.Sub(said) >= time.Second {
			said = now
			fmt.Fprintf(r.err, "%s: %s: %d of %d MiB read\n", dir, part, done>>20, total>>20)
		}
	}
}
