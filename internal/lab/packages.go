package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is a package whose tests need the lab, with what they may not skip there.
type entry struct{ folder, require string }

// packages are what make test-lab runs.
var packages = []entry{
	{"storage/internal/holders", "all"},
	{"storage/zfs", "all"},
	{"storage/lvmthin", "all"},
	{"storage/lvm", "all"},
	{"storage/nfs", "all"},
	{"storage/iscsi", "all"},
	{"examples/04-storage", "all"},
	{"internal/disks", "all"},
	{"netkit", "root,nft,ip"},
	{"netkit/firewall", "root,nft,ip"},
	{"internal/guestfw", "root,nft,ip"},
}

const (
	packageLimit = 15 * time.Minute // -test.timeout of each binary
	testLimit    = 40 * time.Minute // of the whole boot: twice what it takes on two quiet cores
	commandLimit = 10 * time.Minute // of run, and of exec without a time limit of its own
	bootLimit    = 2 * time.Minute  // what booting may take beyond the limit of a test
)

// moduleRoot is the nearest folder above dir with a go.mod.
func moduleRoot(dir string) (string, error) {
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return "", fmt.Errorf("no go.mod above the current folder: %w", err)
		}
		dir = up
	}
}

// repository is the root of the module in the current folder, shared read only.
func repository() (dir string, err error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return moduleRoot(here)
}

// runPackages compiles the tests of packages and runs them in one boot.
func runPackages(ctx context.Context, s settings, args []string) (int, error) {
	img, err := openImage(ctx, os.Stderr)
	if err != nil {
		return 2, err
	}
	root, err := repository()
	if err != nil {
		return 2, err
	}
	var flags []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, flags = args[:i], args[i+1:]
	}
	list, err := choose(root, args)
	if err != nil {
		return 2, err
	}
	bin, err := os.MkdirTemp("", "lab-bin-")
	if err != nil {
		return 2, err
	}
	defer os.RemoveAll(bin)
	run, broken, err := compile(ctx, root, bin, list, flags)
	if err != nil {
		return 2, err
	}
	if len(run) == 0 {
		return min(broken, 1), nil
	}
	if s.limit == 0 {
		s.limit = testLimit
	}
	// A byte that text does not have, and a word that no test can know: no output is taken for a mark.
	mark := "\x1e" + rand.Text()
	m := &machine{settings: s, image: img, shares: []share{{root, false}, {bin, false}}, script: steps(mark, s.disks, run)}
	board := newScoreboard(os.Stdout, mark, run)
	start := time.Now()
	_, err = m.run(ctx, board)
	failed := board.finish(err != nil) + broken
	fmt.Printf("lab: %d of %d packages passed, %.0fs in the lab\n", len(run)+broken-failed, len(run)+broken, time.Since(start).Seconds())
	return min(failed, 1), err
}

// choose returns the entries for folders, by default the whole list. A folder that the list lacks promises nothing.
func choose(root string, folders []string) ([]entry, error) {
	var list []entry
	if len(folders) == 0 {
		list = packages
	}
	for _, f := range folders {
		f = filepath.Clean(f)
		e := entry{folder: f}
		if i := slices.IndexFunc(packages, func(e entry) bool { return e.folder == f }); i >= 0 {
			e = packages[i]
		}
		list = append(list, e)
	}
	var there []entry
	for _, e := range list {
		_, err := os.Stat(filepath.Join(root, e.folder))
		switch {
		case err == nil:
			there = append(there, e)
		case len(folders) == 0 && errors.Is(err, fs.ErrNotExist):
			fmt.Printf("?   \t%s\t[no such folder]\n", e.folder)
		default:
			return nil, err
		}
	}
	return there, nil
}

// compile makes the test binary of each package. One that does not compile is reported and counted, the others run on.
func compile(ctx context.Context, root, bin string, list []entry, flags []string) (run []step, broken int, err error) {
	for _, e := range list {
		program := filepath.Join(bin, strings.ReplaceAll(e.folder, "/", "-")+".test")
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "./"+e.folder)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				return nil, 0, context.Cause(ctx)
			}
			fmt.Printf("%sFAIL\t%s\t[build failed: %v]\n", said.Bytes(), e.folder, err)
			broken++
			continue
		}
		if _, err := os.Stat(program); err != nil { // go has said that there are no test files
			fmt.Printf("%sFAIL\t%s\t[nothing to run]\n", said.Bytes(), e.folder)
			broken++
			continue
		}
		argv := append([]string{program, "-test.paniconexit0", "-test.timeout=" + packageLimit.String()}, flags...)
		run = append(run, step{name: e.folder, folder: filepath.Join(root, e.folder), require: e.require, argv: argv})
	}
	return run, broken, nil
}
