//go:build !linux

package guestfw

import (
	"context"
	"errors"
	"runtime"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/firewall"
)

var errNotLinux = &netkit.UnsupportedError{Feature: "nftables", Err: errors.New("this is " + runtime.GOOS)}

// Facts is unsupported on this system.
func Facts(*netkit.NS, func() string) func(ctx context.Context) (firewall.Node, error) {
	return func(context.Context) (firewall.Node, error) { return firewall.Node{}, errNotLinux }
}

// Sysctls is unsupported on this system.
func Sysctls(*netkit.NS) func(ctx context.Context, values map[string]string) error {
	return func(context.Context, map[string]string) error { return errNotLinux }
}
