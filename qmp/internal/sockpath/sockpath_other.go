//go:build !linux

package sockpath

import (
	"fmt"
	"syscall"
)

func viaFolder(path string) (string, func(), error) {
	return "", nil, fmt.Errorf("socket path %q is too long: %w", path, syscall.EINVAL)
}
