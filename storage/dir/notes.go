package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Files beside a backup, and how much of its notes is read.
const (
	notesSuffix, protectedSuffix = ".notes", ".protected"
	notesMax                     = 64 << 10
)

// annotations adds to v what stands beside a backup; all: the whole notes instead of their first line.
func (d *Driver) annotations(r *root, p place, v *storage.Volume, all bool) {
	v.Protected = d.protected(r, p)
	text, err := d.notes(r, p)
	if err == nil && !all {
		text, _, _ = strings.Cut(text, "\n")
	}
	v.Notes = text
	if b, err := volid.ParseBackupName(p.file, time.Local); err == nil && b.Standard {
		v.Created = b.Created
	}
}

func (d *Driver) protected(r *root, p place) bool {
	there, err := r.exists(p.rel() + protectedSuffix)
	return there || err != nil // a trap of that name protects too
}

func (d *Driver) notes(r *root, p place) (string, error) {
	f, _, err := r.regular(p.rel()+notesSuffix, false)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, notesMax))
	return strings.ToValidUTF8(string(b), "�"), err
}

// Notes implements storage.Annotator.
func (d *Driver) Notes(ctx context.Context, id storage.VolumeID) (text string, err error) {
	err = d.backup(ctx, id, func(r *root, p place) error {
		text, err = d.notes(r, p)
		return err
	})
	return text, d.fail("read notes of", id, err)
}

// SetNotes implements storage.Annotator.
func (d *Driver) SetNotes(ctx context.Context, id storage.VolumeID, text string) error {
	if len(text) > notesMax || !utf8.ValidString(text) {
		return d.fail("write notes of", id, fmt.Errorf("notes of %d bytes: %w", len(text), storage.ErrBadID))
	}
	return d.fail("write notes of", id, d.backup(ctx, id, func(r *root, p place) error {
		if text == "" {
			return removed(r.remove(p.rel() + notesSuffix))
		}
		return d.sidecar(ctx, r, p, notesSuffix, text)
	}))
}

// SetProtected implements storage.Annotator.
func (d *Driver) SetProtected(ctx context.Context, id storage.VolumeID, on bool) error {
	return d.fail("protect", id, d.backup(ctx, id, func(r *root, p place) error {
		if !on {
			return removed(r.remove(p.rel() + protectedSuffix))
		}
		return d.sidecar(ctx, r, p, protectedSuffix, "")
	}))
}

// sidecar writes a file beside a backup, whole or not at all.
func (d *Driver) sidecar(ctx context.Context, r *root, p place, suffix, text string) error {
	p.file += suffix
	s, err := d.newStage(r, p, uploadMode)
	if err != nil {
		return err
	}
	defer s.Discard()
	if _, err := io.WriteString(s, text); err != nil {
		return err
	}
	return s.commit(ctx, r, true)
}

// backup does fn with the place of a backup that exists.
func (d *Driver) backup(ctx context.Context, id storage.VolumeID, fn func(*root, place) error) error {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return err
	}
	defer r.close()
	if p.Content != volid.Backup {
		return fmt.Errorf("only backups have notes and protection: %w", errors.ErrUnsupported)
	}
	f, _, err := r.regular(p.rel(), false)
	if err != nil {
		return err
	}
	defer f.Close()
	return fn(r, p)
}

// removeAnnotations removes what stands beside a backup that is gone.
func (d *Driver) removeAnnotations(r *root, p place) error {
	errs := []error{removed(r.remove(p.rel() + notesSuffix))}
	if b, err := volid.ParseBackupName(p.file, time.Local); err == nil && b.Standard {
		log := p
		log.file = b.LogName()
		errs = append(errs, removed(r.remove(log.rel())))
	}
	return errors.Join(errs...)
}

// removed takes "was not there" for done.
func removed(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
