//go:build !linux

package storagetest

import (
	"errors"
	"os"
)

func lockLikeQEMU(*os.File) error { return errors.ErrUnsupported }
