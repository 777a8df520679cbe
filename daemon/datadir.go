package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The folders of a data directory.
func statePath(dir string) string { return filepath.Join(dir, "state") }
func logPath(dir string) string   { return filepath.Join(dir, "log") }
func localPath(dir string) string { return filepath.Join(dir, "local") }
func privPath(dir string) string  { return filepath.Join(dir, "priv") }
func pkiPath(dir string) string   { return filepath.Join(dir, "pki") }

// firewallLog is what the firewall's rules log.
func firewallLog(dir string) string { return filepath.Join(logPath(dir), "pve-firewall.log") }

func stateFile(dir string) string { return filepath.Join(statePath(dir), "gpve.db") }

// dataDir makes the folders of a data directory and knows which of them it has made.
type dataDir struct {
	made []string
}

// makeDataDir makes the folders that are missing.
func makeDataDir(cfg *Config) (*dataDir, error) {
	d := &dataDir{}
	// Guests run as users of their own and must reach their disks and sockets, and users the certificate of the authority.
	for _, path := range []string{cfg.DataDir, localPath(cfg.DataDir), pkiPath(cfg.DataDir), cfg.Agent.RunDir} {
		if err := d.make(path, 0o711); err != nil {
			return d, err
		}
	}
	for _, path := range []string{statePath(cfg.DataDir), logPath(cfg.DataDir), privPath(cfg.DataDir)} {
		if err := d.make(path, 0o700); err != nil {
			return d, err
		}
	}
	return d, nil
}

// make makes a folder and those above it, or adds what of the permissions an existing one lacks.
func (d *dataDir) make(path string, perm fs.FileMode) error {
	if parent := filepath.Dir(path); parent != path {
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
			if err := d.make(parent, 0o755); err != nil {
				return err
			}
		}
	}
	err := os.Mkdir(path, perm)
	if err == nil {
		d.made = append(d.made, path)
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("%s is no folder", path)
	case st.Mode().Perm()&perm == perm:
		return nil
	}
	return os.Chmod(path, st.Mode()|perm)
}

// remove takes away what was made.
func (d *dataDir) remove() error {
	var errs []error
	for _, path := range slices.Backward(d.made) {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// foreign names the first thing in dir that no data directory has, or nothing. So init does not settle in somebody's home.
func foreign(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		switch name := e.Name(); name {
		case "state", "log", "local", "priv", "pki", "run", "lost+found":
		default:
			if !strings.HasPrefix(name, "."+ConfigFile+".") { // left by a crash while it was written
				return name, nil
			}
		}
	}
	return "", nil
}

// closedTo names the folder at or above path that users other than its owner cannot pass, or nothing.
func closedTo(path string) string {
	for {
		if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o001 == 0 {
			return path
		}
		parent := filepath.Dir(path)
		if parent == path {
			return ""
		}
		path = parent
	}
}

// reachWarning says that guests will not reach their disks, where that is so.
func reachWarning(dir string) string {
	if os.Geteuid() != 0 {
		return "" // guests are the daemon's own user
	}
	if path := closedTo(dir); path != "" {
		return fmt.Sprintf("guests run as users of their own and cannot pass %s: chmod o+x it, or choose another data directory", path)
	}
	return ""
}
