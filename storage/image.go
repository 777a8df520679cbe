package storage

import (
	"errors"
	"os"
)

// Image is an open volume: its bytes, how they are laid out, and what they are backed by. Tools get the open file, never a
// name, so that neither a name nor the image's own header decides what is read.
type Image struct {
	File    *os.File
	Format  Format
	Backing *Image // nil: the image stands alone, whatever its header says
}

// Close closes the file and those behind it.
func (i *Image) Close() error {
	if i == nil {
		return nil
	}
	return errors.Join(i.File.Close(), i.Backing.Close())
}
