//go:build !linux

package dir

import (
	"errors"
	"os"

	"github.com/turtacn/go-proxmox/storage"
)

// root exists on Linux only, so every call of the driver ends at openRoot.
type root struct{}

func openRoot(string) (*root, error) { return nil, errors.ErrUnsupported }

func (*root) close()                                  {}
func (*root) folder(string) (*os.File, error)         { return nil, errors.ErrUnsupported }
func (*root) exists(string) (bool, error)             { return false, errors.ErrUnsupported }
func (*root) create(string, uint32) (*os.File, error) { return nil, errors.ErrUnsupported }
func (*root) regular(string, bool) (*os.File, *fileInfo, error) {
	return nil, nil, errors.ErrUnsupported
}
func (*root) mkdir(string, uint32) error                   { return errors.ErrUnsupported }
func (*root) makeFolder(string, uint32) error              { return errors.ErrUnsupported }
func (*root) remove(string) error                          { return errors.ErrUnsupported }
func (*root) removeIfEmpty(string)                         {}
func (*root) rename(string, string, bool) error            { return errors.ErrUnsupported }
func (*root) usage() (storage.Usage, error)                { return storage.Usage{}, errors.ErrUnsupported }
func statIn(*os.File, string) (*fileInfo, error)           { return nil, errors.ErrUnsupported }
func openIn(*os.File, string) (*os.File, *fileInfo, error) { return nil, nil, errors.ErrUnsupported }
func fstat(*os.File) (*fileInfo, error)                    { return nil, errors.ErrUnsupported }
func classify(_, _ string, err error) error                { return err }
func lockStage(*os.File) (bool, error)                     { return false, errors.ErrUnsupported }
func setImmutable(*os.File, bool)                          {}
