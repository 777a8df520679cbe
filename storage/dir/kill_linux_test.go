package dir

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

// The process that is killed: this test binary, told by the environment what to do and at which step to die.
const (
	killRoot, killStep, killWork = "DIR_TEST_ROOT", "DIR_TEST_STEP", "DIR_TEST_WORK"
)

var killWorks = map[string]func(ctx context.Context, d *Driver) error{
	"create": func(ctx context.Context, d *Driver) error {
		_, err := d.Create(ctx, storage.VolumeSpec{ID: "100/vm-100-disk-0.qcow2", SizeBytes: 1 << 20})
		return err
	},
	"import": func(ctx context.Context, d *Driver) error {
		_, err := d.CreateFilled(ctx, storage.VolumeSpec{ID: "100/vm-100-disk-0.raw", SizeBytes: 1 << 20},
			func(_ context.Context, img *storage.Image) error {
				_, err := img.File.WriteAt([]byte("half of it"), 0)
				d.step("filling")
				return err
			})
		return err
	},
	"upload": func(ctx context.Context, d *Driver) error {
		s, err := d.Stage(ctx, "iso/x.iso")
		if err != nil {
			return err
		}
		if _, err := s.Write([]byte("image")); err != nil {
			return err
		}
		d.step("written")
		return s.Commit(ctx, false)
	},
}

func TestMain(m *testing.M) {
	if root := os.Getenv(killRoot); root != "" {
		d, err := New(root, nil)
		if err == nil {
			d.step = func(name string) {
				if name == os.Getenv(killStep) {
					syscall.Kill(os.Getpid(), syscall.SIGKILL)
					select {}
				}
			}
			err = killWorks[os.Getenv(killWork)](context.Background(), d)
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	storagetest.Main(m, func(root string, step func()) (storage.Driver, error) {
		d, err := New(root, nil)
		if err == nil {
			d.step = func(string) { step() }
		}
		return d, err
	})
}

func TestKilledAtEachStep(t *testing.T) {
	need.Tool(t, "qemu-img")
	for work, steps := range map[string][]string{
		"create": {"staged", "written", "synced", "renamed", ""},
		"import": {"staged", "formatted", "filling", "written", "synced", "renamed", ""},
		"upload": {"written", "synced", "renamed", ""},
	} {
		for _, step := range steps {
			t.Run(work+" "+step, func(t *testing.T) {
				root := t.TempDir()
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), killRoot+"="+root, killStep+"="+step, killWork+"="+work)
				err := cmd.Run()
				if step == "" {
					require.NoError(t, err)
				} else {
					require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(), "%v", err)
				}
				d, err := New(root, nil)
				require.NoError(t, err)
				whole := step == "renamed" || step == ""
				count := func() (n int) {
					for v, err := range d.List(t.Context(), storage.Filter{}) {
						require.NoError(t, err)
						require.NotEqual(t, storage.Invalid, v.Format)
						n++
					}
					return n
				}
				if whole {
					require.Equal(t, 1, count())
				} else {
					require.Zero(t, count(), "what is not complete is no volume")
				}
				swept, err := d.Sweep(t.Context())
				require.NoError(t, err)
				if whole {
					require.Zero(t, swept)
					require.Equal(t, 1, count())
				} else {
					require.Equal(t, 1, swept)
					require.NoDirExists(t, filepath.Join(root, "images", "100"))
					require.NoError(t, killWorks[work](t.Context(), d), "the second attempt meets nothing of the first")
				}
			})
		}
	}
}
