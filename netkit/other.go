//go:build !linux

package netkit

import (
	"context"
	"errors"
	"os"
	"runtime"
)

var errNotLinux = &UnsupportedError{Feature: "rtnetlink", Err: errors.New("this is " + runtime.GOOS)}

// NS is a network namespace; there are none on this system.
type NS struct{}

// OpenNS is unsupported on this system.
func OpenNS(string) (*NS, error) { return nil, errNotLinux }

// HostNS is unsupported on this system.
func HostNS() (*NS, error) { return nil, errNotLinux }

// NewNS is unsupported on this system.
func NewNS() (*NS, error) { return nil, errNotLinux }

// Close does nothing.
func (n *NS) Close() error { return nil }

// Path is empty.
func (n *NS) Path() string { return "" }

// Do is unsupported on this system.
func (n *NS) Do(context.Context, func() error) error { return errNotLinux }

// Conn is a connection to the kernel; there are none on this system.
type Conn struct{}

// Dial is unsupported on this system.
func Dial(context.Context, *NS) (*Conn, error) { return nil, errNotLinux }

// Close does nothing.
func (c *Conn) Close() {}

// Links is unsupported on this system.
func (c *Conn) Links(context.Context) ([]Link, error) { return nil, errNotLinux }

// Link is unsupported on this system.
func (c *Conn) Link(context.Context, string) (Link, error) { return Link{}, errNotLinux }

// Lookup is unsupported on this system.
func (c *Conn) Lookup(context.Context, ...string) ([]Link, error) { return nil, errNotLinux }

// State is unsupported on this system.
func (c *Conn) State(context.Context) (State, error) { return State{}, errNotLinux }

// Move is unsupported on this system.
func (c *Conn) Move(context.Context, string, *NS) error { return errNotLinux }

// Rename is unsupported on this system.
func (c *Conn) Rename(context.Context, string, string) error { return errNotLinux }

// Apply is unsupported on this system.
func (c *Conn) Apply(context.Context, Steps) error { return errNotLinux }

// OpenTap is unsupported on this system.
func (c *Conn) OpenTap(context.Context, string, Tap, int) ([]*os.File, error) {
	return nil, errNotLinux
}

// SetMasquerade is unsupported on this system.
func (c *Conn) SetMasquerade(context.Context, string, []Masquerade) error { return errNotLinux }
