package proc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// controllers are those of the first hierarchy generation that a group is made in. The second has all in one.
var controllers = []string{"memory", "cpu", "pids"}

// Cgroups are the control group hierarchies of the machine: the unified one (version 2), those of version 1, or both.
type Cgroups struct {
	unified string            // mount point, or ""
	v1      map[string]string // mount points by controller
}

// FindCgroups looks at the mounts of this process. Without any hierarchy the error is errors.ErrUnsupported.
func FindCgroups() (*Cgroups, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("proc: control groups: %w", errors.Join(errors.ErrUnsupported, err))
	}
	defer f.Close()
	c, err := parseMounts(f)
	if err != nil {
		return nil, fmt.Errorf("proc: control groups: %w", err)
	}
	if c.unified == "" && len(c.v1) == 0 {
		return nil, fmt.Errorf("proc: control groups: none mounted: %w", errors.ErrUnsupported)
	}
	return c, nil
}

// parseMounts reads /proc/PID/mountinfo. See proc_pid_mountinfo(5).
func parseMounts(r io.Reader) (*Cgroups, error) {
	c := &Cgroups{v1: map[string]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 {
			continue
		}
		switch point := unescape(l[4]); r[0] {
		case "cgroup2":
			c.unified = point
		case "cgroup":
			for _, opt := range strings.Split(r[2], ",") {
				if slices.Contains(controllers, opt) {
					c.v1[opt] = point
				}
			}
		}
	}
	return c, lines.Err()
}

// unescape undoes the kernel's octal escapes of white space in mount points.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// Group is one control group, in every hierarchy that could be written. It is safe for concurrent use.
type Group struct {
	name    string
	unified string            // folder, or ""
	v1      map[string]string // folders by controller
}

// Create makes the group called name, a relative path such as "gpve/100", or returns the one that is there. A hierarchy
// that cannot be written is left out; when none can, the error is the first one's.
func (c *Cgroups) Create(name string) (*Group, error) {
	if !filepath.IsLocal(name) || name != filepath.Clean(name) || name == "." {
		return nil, fmt.Errorf("proc: control group %q: not a relative path", name)
	}
	g := &Group{name: name, v1: map[string]string{}}
	var errs []error
	mkdir := func(mount string) string {
		dir := filepath.Join(mount, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			errs = append(errs, err)
			return ""
		}
		return dir
	}
	if c.unified != "" {
		if g.unified = mkdir(c.unified); g.unified != "" {
			delegate(c.unified, name)
		}
	}
	for ctl, mount := range c.v1 {
		if dir := mkdir(mount); dir != "" {
			g.v1[ctl] = dir
		}
	}
	if len(g.dirs()) == 0 {
		return nil, fmt.Errorf("proc: control group %s: %w", name, errs[0])
	}
	return g, nil
}

// delegate enables the controllers for the group in all groups above it, as far as that is possible: a controller may live
// in version 1, or be kept by somebody else.
func delegate(mount, name string) {
	dir := mount
	for _, part := range strings.Split(name, "/") {
		for _, ctl := range controllers {
			_ = write(filepath.Join(dir, "cgroup.subtree_control"), "+"+ctl)
		}
		dir = filepath.Join(dir, part)
	}
}

// Open returns the group called name where it exists, or fs.ErrNotExist.
func (c *Cgroups) Open(name string) (*Group, error) {
	g := &Group{name: name, v1: map[string]string{}}
	if dir := filepath.Join(c.unified, name); c.unified != "" && isDir(dir) {
		g.unified = dir
	}
	for ctl, mount := range c.v1 {
		if dir := filepath.Join(mount, name); isDir(dir) {
			g.v1[ctl] = dir
		}
	}
	if len(g.dirs()) == 0 {
		return nil, fmt.Errorf("proc: control group %s: %w", name, fs.ErrNotExist)
	}
	return g, nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// Name returns the name that Open takes.
func (g *Group) Name() string { return g.name }

func (g *Group) dirs() []string {
	var dirs []string
	if g.unified != "" {
		dirs = append(dirs, g.unified)
	}
	for _, ctl := range controllers {
		if dir, ok := g.v1[ctl]; ok && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// Add moves a process with all its threads into the group.
func (g *Group) Add(pid int) error {
	for _, dir := range g.dirs() {
		if err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("proc: control group %s: %w", g.name, err)
		}
	}
	return nil
}

// Procs returns the processes in the group.
func (g *Group) Procs() ([]int, error) {
	var pids []int
	for _, dir := range g.dirs() {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			return nil, fmt.Errorf("proc: control group %s: %w", g.name, err)
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// Kill kills every process in the group, also one that forks meanwhile, and returns when it is empty or ctx has ended.
func (g *Group) Kill(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if g.unified != "" {
			_ = write(filepath.Join(g.unified, "cgroup.kill"), "1") // Linux 5.14; the loop below does without
		}
		pids, err := g.Procs()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			_ = kill(pid) // gone is fine; whoever stays is met again
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("proc: kill control group %s: %w", g.name, ctx.Err())
		}
	}
}

// OOMKills returns how often the out-of-memory killer has struck in the group, or errors.ErrUnsupported.
func (g *Group) OOMKills() (uint64, error) {
	paths := []string{}
	if g.unified != "" {
		paths = append(paths, filepath.Join(g.unified, "memory.events"))
	}
	if dir, ok := g.v1["memory"]; ok {
		paths = append(paths, filepath.Join(dir, "memory.oom_control"))
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the controller is in the other hierarchy
		}
		if n, ok := keyed(string(text), "oom_kill"); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("proc: control group %s: no memory controller: %w", g.name, errors.ErrUnsupported)
}

// keyed finds a number in a flat-keyed file. See Documentation/admin-guide/cgroup-v2: Format.
func keyed(text, key string) (uint64, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, err := strconv.ParseUint(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// GroupLimits are limits of a group. Zero leaves one as it is.
type GroupLimits struct {
	MemoryMax int64   // bytes; beyond it the out-of-memory killer strikes
	CPUWeight int     // 1 … 10000, 100 is the default
	CPUQuota  float64 // cores; negative is no limit
	PidsMax   int64   // processes and threads
}

// Set applies limits. A limit without its controller is errors.ErrUnsupported; the others are set nevertheless.
func (g *Group) Set(l GroupLimits) error {
	const period = 100_000 // microseconds, the kernel's default
	var errs []error
	if l.MemoryMax > 0 {
		n := strconv.FormatInt(l.MemoryMax, 10)
		errs = append(errs, g.set("memory", "memory.max", n, "memory.limit_in_bytes", n))
	}
	if l.CPUWeight > 0 {
		shares := max(2, l.CPUWeight*1024/100)
		errs = append(errs, g.set("cpu", "cpu.weight", strconv.Itoa(l.CPUWeight), "cpu.shares", strconv.Itoa(shares)))
	}
	if l.CPUQuota != 0 {
		v2, v1 := "max "+strconv.Itoa(period), "-1"
		if l.CPUQuota > 0 {
			v1 = strconv.Itoa(max(1000, int(l.CPUQuota*period)))
			v2 = v1 + " " + strconv.Itoa(period)
		}
		errs = append(errs, g.set("cpu", "cpu.max", v2, "cpu.cfs_quota_us", v1))
	}
	if l.PidsMax > 0 {
		n := strconv.FormatInt(l.PidsMax, 10)
		errs = append(errs, g.set("pids", "pids.max", n, "pids.max", n))
	}
	return errors.Join(errs...)
}

func (g *Group) set(ctl, file2, value2, file1, value1 string) error {
	if path := filepath.Join(g.unified, file2); g.unified != "" && exists(path) {
		return wrapSet(g.name, write(path, value2))
	}
	if dir, ok := g.v1[ctl]; ok {
		return wrapSet(g.name, write(filepath.Join(dir, file1), value1))
	}
	return fmt.Errorf("proc: control group %s: no %s controller: %w", g.name, ctl, errors.ErrUnsupported)
}

func wrapSet(name string, err error) error {
	if err != nil {
		return fmt.Errorf("proc: control group %s: %w", name, err)
	}
	return nil
}

// Remove deletes the empty group. A group that is not there is fine; one with processes is an error (EBUSY).
func (g *Group) Remove() error {
	var errs []error
	for _, dir := range g.dirs() {
		if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, &fs.PathError{Op: "rmdir", Path: dir, Err: err})
		}
	}
	return errors.Join(errs...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// write writes a control file in one go; the kernel takes each write as one request.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
