//go:build !linux

package machineconf

import (
	"context"
	"errors"
	"fmt"
)

// Probe needs Linux. Elsewhere a file of facts serves, see [ParseHost].
func Probe(context.Context) (*Host, error) {
	return nil, fmt.Errorf("facts of the host: %w", errors.ErrUnsupported)
}
