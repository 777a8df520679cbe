//go:build !linux

package proc

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// Identify is not supported here.
func Identify(int) (Identity, error) { return Identity{}, errors.ErrUnsupported }

// Start is not supported here.
func Start(*Spec) (*Process, error) { return nil, errors.ErrUnsupported }

// Open is not supported here.
func Open(Identity) (*Process, error) { return nil, errors.ErrUnsupported }

// Signal is not supported here.
func (p *Process) Signal(syscall.Signal) error { return errors.ErrUnsupported }

// Limit is not supported here.
func (p *Process) Limit(Limit) error { return errors.ErrUnsupported }

// Lock is not supported here.
func Lock(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Holder is not supported here.
func Holder(string, int) (Identity, error) { return Identity{}, errors.ErrUnsupported }

// RunTethered is not supported here.
func RunTethered(*exec.Cmd, func(pid int) error) error { return errors.ErrUnsupported }

func kill(int) error { return errors.ErrUnsupported }
