// Demo shows that the whole house stands: it runs gpved in a scratch folder and, through its public API alone, creates a
// VM with a disk and a NIC, boots it, talks to it, shuts it down and deletes it, and then looks whether anything is left.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	gpved := flag.String("gpved", "bin/gpved", "the daemon's `program`")
	guest := flag.String("guest", "", "`disk` image of the tiny guest")
	keep := flag.Bool("keep", false, "leave gpved and the VM running and say how to log in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()

	d := &demo{gpved: *gpved, guest: *guest, keep: *keep, out: os.Stdout}
	if err := d.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
