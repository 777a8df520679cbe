package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed image
var recipe embed.FS

// unusedFor is how long an image of another recipe may lie about.
const unusedFor = 14 * 24 * time.Hour

// cacheDir is where images and ZFS modules live.
func cacheDir() (string, error) {
	if dir := os.Getenv("GPVE_LAB_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: set GPVE_LAB_DIR: %w", err)
	}
	return filepath.Join(dir, "go-proxmox", "lab"), nil
}

// recipeSum names the state of the folder image.
func recipeSum() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(recipe, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := recipe.ReadFile(name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:6]), err
}

// openImage returns the folder of the image for this recipe, with the files vmlinux, initrd.gz and root.img. If there is none,
// it is built, in some minutes. One process builds at a time, the others wait for it.
func openImage(ctx context.Context, log io.Writer) (string, error) {
	if err := missing(toRun); err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	sum, err := recipeSum()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "image-"+sum)
	if touch(dir) == nil {
		return dir, nil
	}
	if err := missing(toBuild); err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	lock, err := os.Create(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if touch(dir) == nil { // the one before us has built it
		return dir, nil
	}
	if err := build(ctx, cache, dir, log); err != nil {
		return "", err
	}
	return dir, removeUnused(cache)
}

// touch notes that an image is in use, and fails if it is not there.
func touch(dir string) error {
	now := time.Now()
	return os.Chtimes(dir, now, now)
}

// build makes the image beside its place and moves it there when it is whole.
func build(ctx context.Context, cache, dir string, log io.Writer) error {
	work, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.CopyFS(filepath.Join(work, "recipe"), recipe); err != nil {
		return err
	}
	out := filepath.Join(work, "image")
	cmd := exec.CommandContext(ctx, "bash", filepath.Join(work, "recipe", "image", "build.sh"), out, cache)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it removes its own working folder
	cmd.WaitDelay = 20 * time.Second
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the image: %w", err)
	}
	return os.Rename(out, dir)
}

// removeUnused removes the images of other recipes that nobody has used for long.
func removeUnused(cache string) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), "image-") || time.Since(info.ModTime()) < unusedFor {
			continue
		}
		if err := os.RemoveAll(filepath.Join(cache, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
