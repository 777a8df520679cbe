//go:build !linux

package dir

import (
	"errors"
	"os"
)

func reflink(*os.File, *os.File) error { return errors.ErrUnsupported }
