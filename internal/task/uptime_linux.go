package task

import "golang.org/x/sys/unix"

// uptime returns the time since boot in 1/100 s, the unit of process start times in /proc.
func uptime() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return uint64(ts.Sec)*100 + uint64(ts.Nsec)/10_000_000
}
