//go:build !linux

package nflog

import (
	"context"
	"errors"
	"runtime"

	"github.com/turtacn/go-proxmox/netkit"
)

var errNotLinux = &netkit.UnsupportedError{Feature: "NFLOG", Err: errors.New("this is " + runtime.GOOS)}

// Conn reads one group; there are none on this system.
type Conn struct{}

// Listen is unsupported on this system.
func Listen(context.Context, *netkit.NS, uint16) (*Conn, error) { return nil, errNotLinux }

// Close does nothing.
func (c *Conn) Close() error { return nil }

// Lost is 0.
func (c *Conn) Lost() uint64 { return 0 }

// Next is unsupported on this system.
func (c *Conn) Next(context.Context) (*Packet, error) { return nil, errNotLinux }
