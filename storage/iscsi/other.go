//go:build !linux

package iscsi

import (
	"errors"
	"os"
)

const byID = "/dev/disk/by-id"

func (d *Driver) sessions() ([]string, error)   { return nil, errors.ErrUnsupported }
func (d *Driver) units() ([]disk, error)        { return nil, errors.ErrUnsupported }
func openDevice(string, bool) (*os.File, error) { return nil, errors.ErrUnsupported }
func own(string, int) error                     { return errors.ErrUnsupported }
func held(string) (bool, error)                 { return false, errors.ErrUnsupported }
