package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage: lab COMMAND [flags] ...
  image                     build the image, if it is not there, and print its folder
  test [PACKAGE...] [-- F]  run tests of packages, by default the list, in one boot; F are flags of test binaries
  exec PROGRAM [ARG...]     run one test binary in the current folder, for go test -exec
  run COMMAND               run a bash command
flags of test, exec and run:
`

// settings are the flags that every run has.
type settings struct {
	memMiB, cpus, disks int
	diskBytes           int64
	limit               time.Duration
	out                 string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	status, err := command(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		status = max(status, 1)
	}
	stop()
	os.Exit(status)
}

func command(ctx context.Context, args []string) (int, error) {
	var s settings
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage); flags.PrintDefaults() }
	flags.IntVar(&s.memMiB, "mem", 3072, "memory in `MiB`")
	flags.IntVar(&s.cpus, "cpus", 2, "virtual processors")
	flags.IntVar(&s.disks, "disks", 4, "number of empty disks")
	flags.Int64Var(&s.diskBytes, "disk-size", 8<<30, "`bytes` of each; only what is written takes space on the host")
	flags.DurationVar(&s.limit, "limit", 0, "time after which the guest is taken down; default: 40m for test, the test's own for exec, 10m for run")
	flags.StringVar(&s.out, "out", "", "`folder` on the host that tests may write to, as GPVE_LAB_OUT")
	if len(args) == 0 {
		flags.Usage()
		return 2, nil
	}
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0, nil
		}
		return 2, nil // Parse has said why
	}
	rest := flags.Args()
	switch {
	case args[0] == "image" && len(rest) == 0:
		img, err := openImage(ctx, os.Stderr)
		if err == nil {
			fmt.Println(img)
		}
		return 0, err
	case args[0] == "test":
		return runPackages(ctx, s, rest)
	case args[0] == "exec" && len(rest) > 0:
		return runProgram(ctx, s, rest)
	case args[0] == "run" && len(rest) == 1:
		return runCommand(ctx, s, rest[0])
	}
	flags.Usage()
	return 2, nil
}
