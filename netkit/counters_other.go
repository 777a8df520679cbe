//go:build !linux

package netkit

import "context"

// Counters is unsupported on this system.
func (c *Conn) Counters(context.Context, ...string) (map[string]Counters, error) {
	return nil, errNotLinux
}
