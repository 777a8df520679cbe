package rbd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/storage"
)

// connection writes the files with which librbd finds the cluster: a configuration that names the monitors and, for the
// storage's user, the keyring. What the source files say now holds for every call.
type connection struct {
	opt *Options
	mu  sync.Mutex // serialises writing the driver's own file
}

// text is the configuration in which the user's key is in the file keyring, if that is not empty.
func (c *connection) text(keyring string) (string, error) {
	var b strings.Builder
	if c.opt.ConfFile != "" {
		own, err := os.ReadFile(c.opt.ConfFile)
		if err != nil {
			return "", fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
		}
		b.Write(own)
		b.WriteByte('\n')
	}
	// Of two lines for one option Ceph takes the later, so what follows decides.
	if len(c.opt.Monitors) > 0 {
		b.WriteString("[global]\nmon_host = " + strings.Join(c.opt.Monitors, ",") + "\n")
		auth := "cephx"
		if c.opt.Keyring == "" && c.opt.ConfFile == "" {
			auth = "none"
		}
		b.WriteString("auth_client_required = " + auth + "\n")
	}
	if keyring != "" {
		b.WriteString("[client." + c.opt.User + "]\nkeyring = " + keyring + "\n")
	}
	return b.String(), nil
}

// own returns the path of the configuration for this process and its tools.
func (c *connection) own() (string, error) {
	text, err := c.text(c.opt.Keyring)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := filepath.Join(c.opt.RunDir, "ceph.conf")
	if now, err := os.ReadFile(p); err == nil && string(now) == text {
		return p, nil
	}
	if err := c.folder(); err != nil {
		return "", err
	}
	return p, atomicfile.Write(p, []byte(text), 0o600)
}

func (c *connection) folder() error { return os.MkdirAll(c.opt.RunDir, 0o711) }

// lend returns the path of a configuration that uid can read, with a copy of the key, for one image.
func (c *connection) lend(image string, uid int) (string, error) {
	conf, keyring := c.lent(image)
	var key []byte
	var err error
	if c.opt.Keyring == "" {
		keyring = ""
	} else if key, err = os.ReadFile(c.opt.Keyring); err != nil {
		return "", fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	text, err := c.text(keyring)
	if err != nil {
		return "", err
	}
	if err := c.folder(); err != nil {
		return "", err
	}
	if keyring != "" {
		if err := give(keyring, key, uid); err != nil {
			return "", err
		}
	}
	return conf, give(conf, []byte(text), uid)
}

// take removes what lend made.
func (c *connection) take(image string) error {
	conf, keyring := c.lent(image)
	return errors.Join(remove(keyring), remove(conf))
}

// lent are the files of one image. Images have no '+' in their names, so none is another's.
func (c *connection) lent(image string) (conf, keyring string) {
	p := filepath.Join(c.opt.RunDir, "image+"+image)
	return p + ".conf", p + ".keyring"
}

// give writes a file that only uid can read, in a folder that only this user can write.
func give(path string, data []byte, uid int) error {
	if err := atomicfile.Write(path, data, 0o400); err != nil {
		return err
	}
	if uid == 0 || uid == os.Geteuid() {
		return nil
	}
	return os.Lchown(path, uid, -1)
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
