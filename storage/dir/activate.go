package dir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// Activate implements storage.Activator: the mount is there, the folder and the folders of its contents exist, and no two
// contents share a folder.
func (d *Driver) Activate(ctx context.Context) error {
	return d.fail("activate", "", d.activate(ctx))
}

func (d *Driver) activate(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := d.checkMount(); err != nil {
		return err
	}
	if !d.opt.NoBaseFolder {
		if err := os.MkdirAll(d.path, folderMode); err != nil {
			return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
		}
	}
	r, err := openRoot(d.path)
	if err != nil {
		return err
	}
	defer r.close()
	taken := map[string]storage.Content{}
	wanted := d.opt.Contents
	if wanted == nil {
		wanted = []storage.Content{storage.Images}
	}
	for _, c := range wanted {
		if c == storage.RootDir {
			continue // container volumes lie with the images
		}
		folder := d.folder(c)
		if other, dup := taken[folder]; dup {
			return fmt.Errorf("folder %s is for %s and for %s: %w", folder, other, c, storage.ErrBadID)
		}
		taken[folder] = c
		if d.opt.NoFolders {
			continue
		}
		mode := uint32(folderMode)
		if c == storage.Images {
			mode = guestMode
		}
		if err := r.makeFolder(folder, mode); err != nil {
			return err
		}
	}
	return nil
}

// checkMount returns ErrUnavailable if the option MountPoint asks for a mount that is not there.
func (d *Driver) checkMount() error {
	if d.opt.MountPoint == "" {
		return nil
	}
	want, err := filepath.EvalSymlinks(d.opt.MountPoint)
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		// See proc_pid_mountinfo(5): the fifth field is the mount point, blanks in it as octal escapes.
		if fields := strings.Fields(sc.Text()); len(fields) > 4 && unescapeMount(fields[4]) == want {
			return nil
		}
	}
	return errors.Join(sc.Err(), fmt.Errorf("%w: nothing is mounted at %s", storage.ErrUnavailable, d.opt.MountPoint))
}

var mountEscapes = [...]string{`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`}

func unescapeMount(s string) string { return strings.NewReplacer(mountEscapes[:]...).Replace(s) }
