package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"

	"github.com/turtacn/go-proxmox/storage"
)

// stage is a file under a temporary name on its way to a place.
type stage struct {
	d    *Driver
	to   place
	temp string // relative to the root
	file *os.File

	mu   sync.Mutex // guards over, and makes Commit and Discard exclude each other
	over bool
}

func (d *Driver) newStage(r *root, p place, perm uint32) (*stage, error) {
	f, temp, err := d.newTemp(r, p, perm)
	if err != nil {
		return nil, err
	}
	return &stage{d: d, to: p, temp: temp, file: f}, nil
}

// Stage implements storage.Stager, for content that is no guest image.
func (d *Driver) Stage(ctx context.Context, id storage.VolumeID) (storage.Stage, error) {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return nil, d.fail("stage", id, err)
	}
	defer r.close()
	if p.image() {
		return nil, d.fail("stage", id, fmt.Errorf("guest image: %w", storage.ErrBadID))
	}
	s, err := d.newStage(r, p, uploadMode)
	if err != nil {
		return nil, d.fail("stage", id, err)
	}
	return s, nil
}

func (s *stage) Write(b []byte) (int, error) {
	n, err := s.file.Write(b)
	if err != nil {
		err = s.d.fail("stage", s.to.id, classify("write", s.temp, err))
	}
	return n, err
}

func (s *stage) File() *os.File { return s.file }

func (s *stage) Commit(ctx context.Context, replace bool) error {
	r, err := openRoot(s.d.path)
	if err == nil {
		defer r.close()
		err = s.commit(ctx, r, replace)
	}
	return s.d.fail("commit", s.to.id, err)
}

// commit puts the file in its place. On an error it stays temporary, for Discard.
func (s *stage) commit(ctx context.Context, r *root, replace bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := s.file.Sync(); err != nil {
		return classify("sync", s.temp, err)
	}
	s.d.step("synced")
	if err := r.rename(s.temp, s.to.rel(), replace); err != nil {
		return err
	}
	s.d.step("renamed")
	s.over = true
	return s.file.Close()
}

func (s *stage) Discard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	s.over = true
	r, err := openRoot(s.d.path)
	if err == nil {
		defer r.close()
		if err = r.remove(s.temp); errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		if s.to.image() {
			r.removeIfEmpty(s.to.folder)
		}
	}
	return s.d.fail("discard", s.to.id, errors.Join(err, s.file.Close()))
}

// Sweep implements storage.Stager: it removes temporary files that nobody is writing any more.
func (d *Driver) Sweep(ctx context.Context) (int, error) {
	n, err := d.sweep(ctx)
	return n, d.fail("sweep", "", err)
}

func (d *Driver) sweep(ctx context.Context) (int, error) {
	r, err := openRoot(d.path)
	if err != nil {
		return 0, err
	}
	defer r.close()
	var removed int
	var busy error
	visit := func(folder string) error {
		return d.eachEntry(ctx, r, folder, func(at *os.File, e os.DirEntry) (bool, error) {
			if !isTemp(e.Name()) {
				return true, nil
			}
			if e.IsDir() { // what is left of a container's folder
				if removeTree(r, path.Join(folder, e.Name())) == nil {
					removed++
				}
				return true, nil
			}
			switch swept, err := d.sweepFile(r, path.Join(folder, e.Name())); {
			case errors.Is(err, storage.ErrInUse):
				busy = err
			case swept:
				removed++
			}
			return true, nil
		})
	}
	for _, c := range contents {
		folder := d.folder(c)
		if c != storage.Images {
			if err := visit(folder); err != nil {
				return removed, err
			}
			continue
		}
		owners, err := d.ownerFolders(ctx, r, 0)
		if err != nil {
			return removed, err
		}
		for _, owner := range owners {
			rel := path.Join(folder, owner)
			if err := visit(rel); err != nil {
				return removed, err
			}
			r.removeIfEmpty(rel)
		}
	}
	return removed, busy
}

// sweepFile removes a temporary file whose lock is free. ErrInUse: somebody is writing it. Any other trouble is none of a
// sweep's: the file may be gone, or the next sweep's.
func (d *Driver) sweepFile(r *root, rel string) (removed bool, err error) {
	f, _, err := r.regular(rel, true)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	switch free, err := lockStage(f); {
	case err != nil:
		return false, nil
	case !free:
		return false, fmt.Errorf("%s: %w", rel, storage.ErrInUse)
	}
	return r.remove(rel) == nil, nil
}
