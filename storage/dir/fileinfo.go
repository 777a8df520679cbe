package dir

import "time"

// fileInfo is what the driver needs to know of a file, of an open one or of one that was not followed.
type fileInfo struct {
	size, allocated int64
	changed         time.Time
	perm            uint32
	uid             int
	links           uint64
	device, inode   uint64
	kind            kind
}

type kind int

const (
	kindOther kind = iota // links, devices, FIFOs, sockets
	kindFile
	kindFolder
)
