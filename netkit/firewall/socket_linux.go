package firewall

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// dumpBytes is more than the kernel puts into one message of a list.
const dumpBytes = 64 << 10

// largeDumps has the kernel answer lists in large messages, which it does for a socket that has once been read with a large
// buffer. For each message of the list of a set's elements the kernel goes through the set from its beginning: with messages of a
// page, which are usual, a set of 100,000 elements takes seconds.
func largeDumps(c *netlink.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	// The cheapest question there is: the number of the ruleset. It is answered before the call returns.
	request := make([]byte, unix.NLMSG_HDRLEN+4)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST)
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.Sendto(int(fd), request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); failed == nil {
			_, _, failed = unix.Recvfrom(int(fd), make([]byte, dumpBytes), unix.MSG_DONTWAIT)
		}
	})
	if err == nil {
		err = failed
	}
	return err
}
