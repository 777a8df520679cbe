package nflog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/netkit"
)

// Sizes in bytes, and how long the kernel may collect packets in hundredths of a second.
const (
	copyBytes    = 128 // of each packet: all headers
	kernelBuffer = 64 << 10
	socketBuffer = 1 << 20
	patience     = 10
)

// Conn reads one group. Next is for one goroutine at a time.
type Conn struct {
	nl    *netlink.Conn
	names *names
	queue []*Packet
	lost  atomic.Uint64
}

// Listen begins to read a group of ns, which must stay open. Errors: [ErrBusy], a *netkit.UnsupportedError for a kernel without
// nfnetlink_log, or the kernel's errno.
func Listen(ctx context.Context, ns *netkit.NS, group uint16) (*Conn, error) {
	if ns == nil {
		return nil, errors.New("nflog: listen: nil namespace")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(ns.Path())
	if err != nil {
		return nil, fmt.Errorf("nflog: listen: %w", err)
	}
	defer f.Close()
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: int(f.Fd())})
	if err != nil {
		return nil, fmt.Errorf("nflog: listen: %w", err)
	}
	if err := bind(c, group); err != nil {
		c.Close()
		return nil, fmt.Errorf("nflog: listen to group %d: %w", group, err)
	}
	return &Conn{nl: c, names: &names{ns: ns, byIndex: map[uint32]string{}}}, nil
}

func bind(c *netlink.Conn, group uint16) error {
	if err := c.SetReadBuffer(socketBuffer); err != nil {
		return err
	}
	steps := [][]netlink.Attribute{
		{{Type: nfulaCfgCmd, Data: []byte{cfgCmdBind}}},
		{
			{Type: nfulaCfgMode, Data: append(binary.BigEndian.AppendUint32(nil, copyBytes), copyPacket, 0)},
			{Type: nfulaCfgBuffer, Data: binary.BigEndian.AppendUint32(nil, kernelBuffer)},
			{Type: nfulaCfgTimeout, Data: binary.BigEndian.AppendUint32(nil, patience)},
		},
	}
	for _, attrs := range steps {
		body, err := netlink.MarshalAttributes(attrs)
		if err != nil {
			return err
		}
		header := binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, 0}, group)
		_, err = c.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_ULOG<<8 | msgConfig, Flags: netlink.Request | netlink.Acknowledge},
			Data:   append(header, body...),
		})
		switch {
		case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EPERM) && os.Geteuid() == 0: // what it says of a group that is taken
			return ErrBusy
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT):
			return &netkit.UnsupportedError{Feature: "logging to programs (nfnetlink_log, nft_log)", Err: err}
		case err != nil:
			return err
		}
	}
	return nil
}

// See linux/netfilter/nfnetlink_log.h.
const (
	sizeofHeader = 4 // nfgenmsg: family, version, group

	msgPacket = 0
	msgConfig = 1

	nfulaCfgCmd     = 1
	nfulaCfgMode    = 2
	nfulaCfgBuffer  = 3
	nfulaCfgTimeout = 4
	cfgCmdBind      = 1
	copyPacket      = 2

	nfulaPacketHdr  = 1
	nfulaMark       = 2
	nfulaTimestamp  = 3
	nfulaInDev      = 4
	nfulaOutDev     = 5
	nfulaPhysInDev  = 6
	nfulaPhysOutDev = 7
	nfulaPayload    = 9
	nfulaPrefix     = 10
	nfulaHWHeader   = 16
)

// Close ends the reading. A Next that waits returns with an error.
func (c *Conn) Close() error { return c.nl.Close() }

// Lost tells how often packets were lost because they were not read in time.
func (c *Conn) Lost() uint64 { return c.lost.Load() }

// Next returns the next packet, which is the caller's.
func (c *Conn) Next(ctx context.Context) (*Packet, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.nl.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for len(c.queue) == 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		messages, err := c.nl.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			c.lost.Add(1)
			continue
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("nflog: %w", err)
		}
		for _, m := range messages {
			if m.Header.Type == unix.NFNL_SUBSYS_ULOG<<8|msgPacket && len(m.Data) >= sizeofHeader {
				if p, err := c.parse(m.Data[sizeofHeader:]); err == nil {
					c.queue = append(c.queue, p)
				}
			}
		}
	}
	p := c.queue[0]
	c.queue = c.queue[1:]
	return p, nil
}

// parse reads the attributes of a message.
func (c *Conn) parse(b []byte) (*Packet, error) {
	d, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return nil, err
	}
	d.ByteOrder = binary.BigEndian
	p := &Packet{Time: time.Now()}
	for d.Next() {
		switch d.Type() {
		case nfulaPacketHdr:
			if b := d.Bytes(); len(b) >= 2 {
				p.Proto = binary.BigEndian.Uint16(b)
			}
		case nfulaMark:
			p.Mark = d.Uint32()
		case nfulaTimestamp:
			if b := d.Bytes(); len(b) >= 16 {
				p.Time = time.Unix(int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))*1000)
			}
		case nfulaInDev:
			p.In = c.names.of(d.Uint32())
		case nfulaOutDev:
			p.Out = c.names.of(d.Uint32())
		case nfulaPhysInDev:
			p.PhysIn = c.names.of(d.Uint32())
		case nfulaPhysOutDev:
			p.PhysOut = c.names.of(d.Uint32())
		case nfulaPayload:
			p.Payload = slices.Clone(d.Bytes())
		case nfulaPrefix:
			p.Prefix = d.String()
		case nfulaHWHeader:
			p.HWHeader = slices.Clone(d.Bytes())
		}
	}
	return p, d.Err()
}

// names finds devices by their number. It asks again after a while: numbers are given anew.
type names struct {
	ns      *netkit.NS
	byIndex map[uint32]string
	read    time.Time
}

const namesAge = 5 * time.Second

func (n *names) of(index uint32) string {
	if index == 0 {
		return ""
	}
	if name, ok := n.byIndex[index]; ok && time.Since(n.read) < namesAge {
		return name
	}
	clear(n.byIndex)
	n.read = time.Now()
	_ = n.ns.Do(context.Background(), func() error {
		list, err := net.Interfaces()
		for _, i := range list {
			n.byIndex[uint32(i.Index)] = i.Name
		}
		return err
	})
	if n.byIndex[index] == "" {
		n.byIndex[index] = fmt.Sprintf("if%d", index)
	}
	return n.byIndex[index]
}
