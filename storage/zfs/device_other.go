//go:build !linux

package zfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

func devicePath(dataset string) string { return filepath.Join("/dev/zvol", dataset) }

var errNoDevice = errors.New("no device")

func openDevice(string, bool) (*os.File, error) { return nil, errors.ErrUnsupported }

func (d *Driver) device(context.Context, string, bool) (*os.File, error) {
	return nil, errors.ErrUnsupported
}
