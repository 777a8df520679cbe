//go:build !linux

package qimg

import (
	"context"
	"errors"
	"os"
)

func copyRaw(context.Context, *os.File, *os.File, CopyOptions) error { return errors.ErrUnsupported }
