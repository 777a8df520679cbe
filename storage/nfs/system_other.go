//go:build !linux

package nfs

import (
	"context"
	"errors"
)

type system struct{}

func (system) at(string) (mount, bool, error)                      { return mount{}, false, errors.ErrUnsupported }
func (system) mount(context.Context, string, string, string) error { return errors.ErrUnsupported }
func (system) unmount(context.Context, string, bool) error         { return errors.ErrUnsupported }
