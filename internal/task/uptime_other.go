//go:build !linux

package task

import "time"

// uptime stands in for the time since boot where the program only compiles.
func uptime() uint64 { return uint64(time.Now().UnixMilli()/10) & (1<<36 - 1) }
