package harness

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// The ioctl by which a filesystem is told to stop as if the power had gone:
	// what is not on the disk is lost, what comes later gets EIO.
	ioctlShutdown = 0x8004587d
	// noLogFlush keeps the journal's last transactions from being written.
	noLogFlush = 2
	// The ioctls that make everything that would change a filesystem wait.
	ioctlFreeze = 0xc0045877
	ioctlThaw   = 0xc0045878

	unmountTries = 100
	unmountPause = 20 * time.Millisecond
)

// Disk is an ext4 filesystem in a file, mounted for one node, whose power can be
// cut.
type Disk struct {
	Mount string // the directory it is mounted on

	t       testing.TB
	image   string
	mounted bool
}

// DiskRefusal tells why disks cannot be made here; nil when they can.
func DiskRefusal() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("to mount a disk needs root, this is uid %d", os.Geteuid())
	}
	for _, program := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return fmt.Errorf("no loop devices: %w", err)
	}
	return nil
}

// NewDisk makes and mounts a filesystem of some megabytes below dir. It is
// unmounted when the test ends.
func NewDisk(t testing.TB, dir, name string, megabytes int64) *Disk {
	t.Helper()
	d := &Disk{t: t, image: dir + "/" + name + ".img", Mount: dir + "/" + name + ".disk"}
	f, err := os.Create(d.image)
	if err == nil {
		err = f.Truncate(megabytes << 20)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.Mount, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", d.image); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.mounted {
			d.Unmount()
		}
	})
	d.Remount()
	return d
}

// Freeze makes the disk hang: who writes to it waits until Thaw.
func (d *Disk) Freeze() error { return d.control(ioctlFreeze, 0, "freeze") }

// Thaw undoes Freeze.
func (d *Disk) Thaw() error { return d.control(ioctlThaw, 0, "thaw") }

// Cut takes the power from the disk. Processes that use it get EIO, but for an
// fsync that is under way: the kernel may answer it as if all were well, though
// the data is gone. With real power the process would not live to see that, so
// it must be frozen or gone before.
func (d *Disk) Cut() error { return d.control(ioctlShutdown, noLogFlush, "cut the power of") }

func (d *Disk) control(request uint, argument int, what string) error {
	f, err := os.Open(d.Mount)
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, d.Mount, err)
	}
	defer f.Close() // read-only
	if err := unix.IoctlSetPointerInt(int(f.Fd()), request, argument); err != nil {
		return fmt.Errorf("%s %s: %w", what, d.Mount, err)
	}
	return nil
}

// Used is how many bytes of the disk are taken.
func (d *Disk) Used() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(d.Mount, &s); err != nil {
		return 0, fmt.Errorf("look at %s: %w", d.Mount, err)
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize, nil
}

// Unmount takes the disk out. No process may use it any more.
func (d *Disk) Unmount() {
	d.t.Helper()
	var err error
	for range unmountTries {
		if err = run("umount", d.Mount); err == nil {
			d.mounted = false
			return
		}
		time.Sleep(unmountPause) // the kernel may still let go of a killed process
	}
	d.t.Errorf("the disk stays mounted: %v", err)
}

// Remount puts the disk in again, which replays its journal.
func (d *Disk) Remount() {
	d.t.Helper()
	if err := run("mount", "-o", "loop", d.image, d.Mount); err != nil {
		d.t.Fatal(err)
	}
	d.mounted = true
}

func run(program string, args ...string) error {
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
