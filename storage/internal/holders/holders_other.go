//go:build !linux

package holders

import "errors"

// Of is not supported here.
func Of(string) ([]Holder, error) { return nil, errors.ErrUnsupported }
