//go:build !linux

package machine

import (
	"errors"
	"os"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// Listen is not supported here.
func Listen(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func processLimits() []proc.Limit { return nil }
