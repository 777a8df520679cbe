package main

import (
	"os/exec"
	"syscall"
)

func inNewNetwork(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
}
