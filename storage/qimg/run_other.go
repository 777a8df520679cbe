//go:build !linux

package qimg

import (
	"errors"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

// limit refuses, so that no command runs without its limits where they do not exist.
func limit(int, Limits) error { return errors.ErrUnsupported }
