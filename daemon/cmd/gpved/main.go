// Gpved runs virtual machines on this host behind the Proxmox VE API.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// The main thread stays in the host's namespaces, so that /proc/self/ns always names them.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends gpved at once; the next start recovers
	if err := keepFiles(); err != nil {
		fmt.Fprintln(os.Stderr, "gpved: files of the starter:", err)
		os.Exit(1)
	}
	err := newRoot(os.Stdin, os.Stdout, os.Stderr).ExecuteContext(ctx)
	if err != nil && !(ctx.Err() != nil && errors.Is(err, context.Canceled)) { // being told to end is no failure
		fmt.Fprintln(os.Stderr, "gpved:", err)
		os.Exit(1)
	}
}
