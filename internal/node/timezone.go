package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const zoneInfo = "usr/share/zoneinfo"

// ErrNoTimezone is a name that the host's time zone data does not have.
var ErrNoTimezone = errors.New("no such timezone")

// Timezone returns the host's time zone, such as Europe/Vienna; UTC when nothing says otherwise.
func (h *Host) Timezone() string {
	if name := h.text("etc/timezone"); name != "" {
		return name
	}
	if target, err := os.Readlink(h.path("etc/localtime")); err == nil {
		if _, name, ok := strings.Cut(target, "zoneinfo/"); ok {
			return name
		}
	}
	return "UTC"
}

// location returns the rules of the host's time zone, UTC when they cannot be read.
func (h *Host) location() *time.Location {
	loc, err := time.LoadLocation(h.Timezone())
	if err != nil {
		return time.UTC
	}
	return loc
}

// SetTimezone makes name the host's time zone. Errors: [ErrNoTimezone].
func (h *Host) SetTimezone(name string) error {
	if !filepath.IsLocal(name) {
		return ErrNoTimezone
	}
	st, err := os.Stat(h.path(filepath.Join(zoneInfo, name)))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !st.Mode().IsRegular() {
		return ErrNoTimezone
	}
	if err != nil {
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
