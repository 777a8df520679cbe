package node

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const zoneInfo = "usr/share/zoneinfo"

// ErrNoTimezone is a name that the host's time zone data does not have.
var ErrNoTimezone = errors.New("no such timezone")

// Timezone returns the host's time zone, such as Europe/Vienna; UTC when nothing says otherwise. What the C library uses
// counts, and the name that Debian keeps beside it only where that tells no name.
func (h *Host) Timezone() string {
	if target, err := os.Readlink(h.path("etc/localtime")); err == nil {
		if _, name, ok := strings.Cut(target, "zoneinfo/"); ok {
			return name
		}
	}
	return cmp.Or(h.text("etc/timezone"), "UTC")
}

// location returns the rules of the host's time zone, UTC when they cannot be read.
func (h *Host) location() *time.Location {
	loc, err := h.zone(h.Timezone())
	if err != nil {
		return time.UTC
	}
	return loc
}

// zone reads the rules of a time zone.
func (h *Host) zone(name string) (*time.Location, error) {
	if !filepath.IsLocal(name) {
		return nil, ErrNoTimezone
	}
	data, err := os.ReadFile(h.path(filepath.Join(zoneInfo, name)))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
			return nil, ErrNoTimezone
		}
		return nil, err
	}
	loc, err := time.LoadLocationFromTZData(name, data)
	if err != nil { // one of the lists that lie beside the zones
		return nil, ErrNoTimezone
	}
	return loc, nil
}

// SetTimezone makes name the host's time zone. Errors: [ErrNoTimezone].
func (h *Host) SetTimezone(name string) error {
	if _, err := h.zone(name); err != nil {
		return err
	}
	link := h.path("etc/localtime")
	tmp := link + ".new"
	os.Remove(tmp)
	if err := os.Symlink("/"+filepath.Join(zoneInfo, name), tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, link); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.WriteFile(h.path("etc/timezone"), []byte(name+"\n"), 0o644)
}
