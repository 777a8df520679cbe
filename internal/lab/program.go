package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// runProgram runs a test binary as go test -exec gives it: in the folder of its package. The folder of the binary is writable,
// for that is where go test lets it write what it reads afterwards (coverage), and so is the folder that -test.outputdir names.
func runProgram(ctx context.Context, s settings, argv []string) (int, error) {
	img, err := openImage(ctx, os.Stderr)
	if err != nil {
		return 2, err
	}
	folder, err := os.Getwd()
	if err != nil {
		return 2, err
	}
	root, err := moduleRoot(folder)
	if err != nil {
		return 2, err
	}
	if argv[0], err = filepath.Abs(argv[0]); err != nil {
		return 2, err
	}
	shares := []share{{root, false}, {filepath.Dir(argv[0]), true}}
	if dir, ok := flagValue(argv[1:], "outputdir"); ok {
		shares = append(shares, share{dir, true})
	}
	if s.limit == 0 {
		s.limit = commandLimit
		if text, ok := flagValue(argv[1:], "timeout"); ok {
			if d, err := time.ParseDuration(text); err == nil && d > 0 {
				s.limit = d + bootLimit
			}
		}
	}
	m := &machine{settings: s, image: img, shares: shares, script: oneProgram(folder, argv)}
	return m.run(ctx, os.Stdout)
}

// runCommand runs a bash command at the root of the repository.
func runCommand(ctx context.Context, s settings, command string) (int, error) {
	img, err := openImage(ctx, os.Stderr)
	if err != nil {
		return 2, err
	}
	root, err := repository()
	if err != nil {
		return 2, err
	}
	if s.limit == 0 {
		s.limit = commandLimit
	}
	m := &machine{settings: s, image: img, shares: []share{{root, false}}, script: oneProgram(root, []string{"bash", "-c", command})}
	return m.run(ctx, os.Stdout)
}

// flagValue is the value of -test.NAME=VALUE, as the go command writes flags.
func flagValue(args []string, name string) (string, bool) {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "-test."+name+"="); ok {
			return v, true
		}
	}
	return "", false
}
