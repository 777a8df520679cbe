package storagetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// childVar names the environment variable that makes a test binary the process that is killed.
const childVar = "STORAGETEST_CHILD"

// maxSteps bounds how many steps an operation may have.
const maxSteps = 300

// job is what the process that is killed does.
type job struct {
	Backend  string // as Config.Backend names it
	Op       string // name of an operation
	Step     int    // dies at this step, the first is 1; 0: at none, and says how many there were
	Operands operands
}

// operands are the volumes of one operation.
type operands struct {
	Format storage.Format
	Size   int64
	A, B   storage.VolumeID // the volume that is there, and the one that shall be
}

// Main runs the tests of a driver's package: call it from TestMain. In a process that [Run] starts to be killed, it does one
// operation instead, with the driver that open returns for the backend, and step ends the process where it is told to. The
// driver calls step before and after everything that changes the backend: a command, a system call.
// m is the *testing.M, or what runs it and cleans up after it.
func Main(m interface{ Run() int }, open func(backend string, step func()) (storage.Driver, error)) {
	text := os.Getenv(childVar)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := child([]byte(text), open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(text []byte, open func(string, func()) (storage.Driver, error)) error {
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	n := 0
	d, err := open(j.Backend, func() {
		if n++; n == j.Step {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(operations, func(o operation) bool { return o.name == j.Op })
	if i < 0 {
		return fmt.Errorf("no operation %q", j.Op)
	}
	if err := operations[i].run(context.Background(), d, j.Operands); err != nil {
		return err
	}
	_, err = fmt.Printf("%d steps\n", n)
	return err
}

// operation is one call that may be killed between two of its steps.
type operation struct {
	name  string
	needs Claims
	made  bool // begins with the volume A
	fills bool // B has content, of A if there is A
	run   func(ctx context.Context, d storage.Driver, o operands) error
	// state says how far it came: false nothing, true all of it. Anything between fails the test.
	state func(s *suite, o operands) bool
	done  error // what a repetition may answer when all of it was done; nil: only success
}

var operations = []operation{
	{name: "create", done: storage.ErrExists, state: appears,
		run: func(ctx context.Context, d storage.Driver, o operands) error {
			_, err := d.Create(ctx, storage.VolumeSpec{ID: o.B, Format: o.Format, SizeBytes: o.Size})
			return err
		}},
	{name: "fill", needs: Fill, fills: true, done: storage.ErrExists, state: appears,
		run: func(ctx context.Context, d storage.Driver, o operands) error {
			f, _ := storage.As[storage.Filler](d)
			_, err := f.CreateFilled(ctx, storage.VolumeSpec{ID: o.B, Format: o.Format, SizeBytes: o.Size},
				func(ctx context.Context, img *storage.Image) error {
					return imageContent{}.Write(ctx, img, pattern(o.Size, 1))
				})
			return err
		}},
	{name: "delete", made: true, done: storage.ErrNotFound,
		run: func(ctx context.Context, d storage.Driver, o operands) error { return d.Delete(ctx, o.A) },
		state: func(s *suite, o operands) bool {
			ids := s.ids(storage.Filter{})
			require.Subset(s, []storage.VolumeID{o.A}, ids)
			return len(ids) == 0
		}},
	{name: "resize", made: true, needs: Resize,
		run: func(ctx context.Context, d storage.Driver, o operands) error {
			r, _ := storage.As[storage.Resizer](d)
			_, err := r.Resize(ctx, o.A, 2*o.Size)
			return err
		},
		state: func(s *suite, o operands) bool {
			list := s.all(storage.Filter{})
			require.Len(s, list, 1)
			require.Equal(s, o.A, list[0].ID)
			require.Contains(s, []int64{o.Size, 2 * o.Size}, list[0].SizeBytes)
			return list[0].SizeBytes == 2*o.Size
		}},
	{name: "snapshot", made: true, needs: Snapshot, done: storage.ErrExists,
		run: func(ctx context.Context, d storage.Driver, o operands) error {
			sn, _ := storage.As[storage.Snapshotter](d)
			return sn.Snapshot(ctx, o.A, "one")
		},
		state: func(s *suite, o operands) bool {
			s.only(o.A)
			sn, _ := s.snapshotter()
			names := s.names(sn, o.A)
			require.Subset(s, []string{"one"}, names)
			return len(names) == 1
		}},
	{name: "make base", made: true, needs: Clone,
		run: func(ctx context.Context, d storage.Driver, o operands) error {
			c, _ := storage.As[storage.Cloner](d)
			_, err := c.MakeBase(ctx, o.A)
			return err
		},
		state: func(s *suite, o operands) bool {
			c, _ := s.cloner()
			base, err := c.BaseID(o.A)
			require.NoError(s, err)
			ids := s.ids(storage.Filter{})
			require.Len(s, ids, 1)
			require.Contains(s, []storage.VolumeID{o.A, base}, ids[0])
			return ids[0] == base
		}},
	{name: "rename", made: true, needs: Rename, done: storage.ErrNotFound,
		run: func(ctx context.Context, d storage.Driver, o operands) error {
			r, _ := storage.As[storage.Renamer](d)
			_, err := r.Rename(ctx, o.A, o.B)
			return err
		},
		state: func(s *suite, o operands) bool {
			ids := s.ids(storage.Filter{})
			require.Len(s, ids, 1)
			require.Contains(s, []storage.VolumeID{o.A, o.B}, ids[0])
			return ids[0] == o.B
		}},
	{name: "copy", made: true, needs: Copy, fills: true, done: storage.ErrExists, state: appears,
		run: func(ctx context.Context, d storage.Driver, o operands) error {
			c, _ := storage.As[storage.Copier](d)
			_, err := c.CopyFrom(ctx, storage.VolumeSpec{ID: o.B, Format: o.Format, SizeBytes: o.Size}, d, o.A, storage.CopyOptions{})
			return err
		}},
}

// appears: beside A there is nothing, or all of B.
func appears(s *suite, o operands) bool {
	list := slices.DeleteFunc(s.all(storage.Filter{}), func(v storage.Volume) bool { return v.ID == o.A })
	if len(list) == 0 {
		return false
	}
	require.Len(s, list, 1)
	require.Equal(s, o.B, list[0].ID)
	require.Equal(s, o.Size, list[0].SizeBytes, "whole")
	require.Equal(s, o.Format, list[0].Format, "whole")
	return true
}

// killed: each operation dies at each of its steps, or at Config.KillSteps of them. Lists show the volume whole or not at all,
// Sweep removes the rest, and doing it again ends as if nothing had happened.
func (c Config) killed(t *testing.T, format storage.Format) {
	if c.Backend == nil {
		return // the driver's own tests kill it
	}
	for _, op := range operations {
		if c.Claims[format].Has(op.needs) {
			t.Run(op.name, func(t *testing.T) {
				c.concurrent(t)
				s := newSuite(t, c, format)
				at := func(step int) int {
					n := s.killAt(op, step)
					s.clean()
					return n
				}
				n := at(0)
				require.Positive(t, n, "the driver has no steps: is Config.Backend's driver the one that Main opens?")
				require.Less(t, n, maxSteps)
				steps := c.steps(t, n)
				t.Logf("killed at %d of %d steps: %v", len(steps), n, steps)
				for _, step := range steps {
					at(step)
				}
			})
		}
	}
}

// stepsVar is the environment variable with a number of steps that is used in place of Config.KillSteps; "all" is one, too.
const stepsVar = "GPVE_KILL_STEPS"

// steps are those of n steps at which an operation is killed: all, or some at even distances from each other and from the ends.
func (c Config) steps(t *testing.T, n int) []int {
	k := c.KillSteps
	if text := os.Getenv(stepsVar); text == "all" {
		k = n
	} else if text != "" {
		var err error
		k, err = strconv.Atoi(text)
		require.NoError(t, err, stepsVar)
	}
	if k <= 0 || k > n {
		k = n
	}
	steps := make([]int, k)
	for i := range steps {
		steps[i] = 1 + (2*i+1)*n/(2*k)
	}
	return steps
}

// killAt kills one operation at one step, or at none, and returns how many steps it had if it came to its end.
func (s *suite) killAt(op operation, step int) (steps int) {
	o := operands{Format: s.format, Size: s.size, A: s.id(100, 0), B: s.id(101, 0)}
	if op.made {
		s.create(100, 0)
		if op.fills && s.claims.Has(Open) {
			s.write(o.A, pattern(s.size, 1))
		}
	}
	text, err := json.Marshal(job{Backend: s.c.Backend(s.d), Op: op.name, Step: step, Operands: o})
	require.NoError(s, err)
	cmd := exec.CommandContext(s.ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+string(text))
	out, err := cmd.CombinedOutput()
	finished := err == nil
	if finished {
		_, err := fmt.Sscanf(string(out), "%d steps", &steps)
		require.NoError(s, err, "%s", out)
	} else {
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		require.True(s, ok && status.Signal() == syscall.SIGKILL, "step %d: %v: %s", step, err, out)
	}
	whole := op.state(s, o)
	require.True(s, whole || !finished, "done, but not there")
	if sw, ok := storage.As[storage.Sweeper](s.d); ok {
		n, err := sw.Sweep(s.ctx)
		require.NoError(s, err)
		if n > 0 {
			n, err = sw.Sweep(s.ctx)
			require.NoError(s, err)
			require.Zero(s, n, "swept already")
		}
	}
	require.Equal(s, whole, op.state(s, o), "sweeping changes nothing that counts")
	if !op.made && !whole {
		s.noResidue()
	}
	err = op.run(s.ctx, s.d, o)
	if err != nil {
		require.True(s, whole && op.done != nil && errors.Is(err, op.done), "step %d, repeated: %v", step, err)
	}
	require.True(s, op.state(s, o), "repeated, but not there")
	if op.fills && s.claims.Has(Open) {
		s.holds(o.B, pattern(o.Size, 1))
	}
	return steps
}
