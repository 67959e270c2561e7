package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"mainstem/doctor"
	"mainstem/phase"
	"mainstem/storage"
)

const (
	fsyncTestFor   = 10 * time.Second
	fsyncTestBytes = 4 << 10 // a small entry of the log
	fsyncFileBytes = 64 << 20
)

// fsyncCommand measures a disk as the log uses it.
func fsyncCommand() *cobra.Command {
	d := fsyncTestFor
	cmd := &cobra.Command{
		Use: "fsync-test DIRECTORY", Short: "Measure how long a disk takes to keep a write for good", Args: words(1, 1),
		Long: "Write small entries to a file in a directory, as the replicated log does, and wait for each to be on the disk (fdatasync).\n" +
			"An append in a cluster waits for two of these: the leader's and a follower's. Run it on the disk of the data directory, while no node uses it.\n" +
			"Exit code 1 if the disk is too slow.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if d < time.Second || d > time.Hour {
				return phase.Load.In(fmt.Errorf("--for %s: use a second to an hour", d))
			}
			took, err := measureFsync(cmd.Context(), args[0], d)
			if err != nil {
				return fmt.Errorf("measure %s: %w", args[0], err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), latencies(took))
			sentence, ok := doctor.JudgeFsync(took)
			if !ok {
				return errors.New(sentence)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), sentence)
			return err
		},
	}
	cmd.Flags().DurationVar(&d, "for", d, "how long to measure")
	return cmd
}

// measureFsync writes into blocks that are there already, as the log does, and
// leaves nothing behind.
func measureFsync(ctx context.Context, dir string, d time.Duration) (took *hdrhistogram.Histogram, err error) {
	f, err := os.CreateTemp(dir, "fsync-test-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if err := fillFile(f); err != nil {
		return nil, err
	}
	took = hdrhistogram.New(1, doctor.FsyncWorst.Microseconds(), 3)
	entry := make([]byte, fsyncTestBytes)
	for at, end := int64(0), time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; at = (at + fsyncTestBytes) % fsyncFileBytes {
		begun := time.Now()
		entry[0]++
		if _, err := f.WriteAt(entry, at); err != nil {
			return nil, err
		}
		if err := storage.SyncWritten(f); err != nil {
			return nil, err
		}
		if err := took.RecordValue(min(time.Since(begun), doctor.FsyncWorst).Microseconds()); err != nil {
			return nil, err
		}
	}
	if took.TotalCount() == 0 {
		return nil, errors.New("it was ended before anything was written")
	}
	return took, nil
}

func fillFile(f *os.File) error {
	zeroes := make([]byte, 1<<20)
	for at := int64(0); at < fsyncFileBytes; at += int64(len(zeroes)) {
		if _, err := f.WriteAt(zeroes, at); err != nil {
			return err
		}
	}
	return f.Sync()
}

func latencies(h *hdrhistogram.Histogram) string {
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) * time.Microsecond }
	return fmt.Sprintf("%d writes of %d bytes, each on the disk before the next: 50 %% within %s, 90 %% %s, 99 %% %s, 99.9 %% %s, the slowest %s",
		h.TotalCount(), fsyncTestBytes, at(50), at(90), at(99), at(99.9), time.Duration(h.Max())*time.Microsecond)
}
