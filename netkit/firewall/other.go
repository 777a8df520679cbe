//go:build !linux

package firewall

import (
	"context"
	"errors"
	"runtime"

	"github.com/turtacn/go-proxmox/netkit"
)

var errNotLinux = &netkit.UnsupportedError{Feature: "nftables", Err: errors.New("this is " + runtime.GOOS)}

// Conn is a connection to the kernel; there are none on this system.
type Conn struct{}

// Dial is unsupported on this system.
func Dial(context.Context, *netkit.NS) (*Conn, error) { return nil, errNotLinux }

// Close does nothing.
func (c *Conn) Close() error { return nil }

// Guard is unsupported on this system.
func (c *Conn) Guard(context.Context, ...string) error { return errNotLinux }

// Release is unsupported on this system.
func (c *Conn) Release(context.Context, ...string) error { return errNotLinux }

// Apply is unsupported on this system.
func (c *Conn) Apply(context.Context, *Ruleset) (*Report, error) { return nil, errNotLinux }

// Read is unsupported on this system.
func (c *Conn) Read(context.Context) (*State, error) { return nil, errNotLinux }

// Closed is unsupported on this system.
func (c *Conn) Closed(context.Context) ([]string, error) { return nil, errNotLinux }

// Foreign is unsupported on this system.
func (c *Conn) Foreign(context.Context) (bool, error) { return false, errNotLinux }
