package storage

import (
	"errors"
	"os"
)

// Image is an open volume: its bytes, how they are laid out, and what they are backed by. Tools get the open file, never a
// name, so that neither a name nor the image's own header decides what is read. A volume that no file of this machine gives
// access to has Remote instead: an RBD or ISCSI that tools reach by the same libraries as QEMU.
type Image struct {
	File     *os.File // nil if Remote says where the bytes are
	Remote   Attachment
	Snapshot string // read this internal snapshot of a qcow2 file instead of its current state
	Format   Format
	Backing  *Image       // nil: the image stands alone, whatever its header says
	Release  func() error // what Close does after closing the file; nil: nothing
}

// Close closes the file and those behind it.
func (i *Image) Close() error {
	if i == nil {
		return nil
	}
	var errs []error
	if i.File != nil {
		errs = append(errs, i.File.Close())
	}
	errs = append(errs, i.Backing.Close())
	if i.Release != nil {
		errs = append(errs, i.Release())
	}
	return errors.Join(errs...)
}
