// Package interfaces is Debian's /etc/network/interfaces in the dialect of Proxmox VE: the file as a value, what the
// network API shows of it, the checks before it is written, and its text.
//
//	f := interfaces.Parse(text, interfaces.Live{Links: links, Up: names})
//	f.Ifaces["vmbr0"]["mtu"] = "9000"
//	text, err := f.Format()
//
// The package is pure: what the kernel knows of links is an argument. It is no ifupdown: it keeps what it does not know
// (source lines, pre-up commands) as text, and never reads the files that a source line names. Values are plain data
// without locks.
package interfaces
