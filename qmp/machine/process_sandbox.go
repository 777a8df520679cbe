package machine

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// sandbox denies old system calls, gaining privileges, starting programs, and changing scheduling. See qemu(1): -sandbox.
const sandbox = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

// SandboxSupported asks a QEMU binary whether it can filter its system calls. It takes some 20 ms; the answer holds as long
// as the binary stays the same.
func SandboxSupported(ctx context.Context, binary string) (bool, error) {
	// The filter is set up before the list of machines is printed, and a QEMU without it exits with an error first.
	err := exec.CommandContext(ctx, binary, "-sandbox", sandbox, "-machine", "help").Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("machine: probe sandbox of %s: %w", binary, err)
	}
	return true, nil
}
