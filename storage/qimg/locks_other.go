//go:build !linux

package qimg

import (
	"errors"
	"os"
)

// Opened exists on Linux only.
func Opened(*os.File) (bool, error) { return false, errors.ErrUnsupported }

// OpenedForWriting exists on Linux only.
func OpenedForWriting(*os.File) (bool, error) { return false, errors.ErrUnsupported }
