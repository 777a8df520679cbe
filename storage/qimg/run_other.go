//go:build !linux

package qimg

import "errors"

// limit refuses, so that no command runs without its limits where they do not exist.
func limit(int, Limits) error { return errors.ErrUnsupported }
