package netkit

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// makeTap makes a persistent tap in the namespace of the calling thread. A tap of that name that is there already is
// adopted by TUNSETIFF when its flags agree. See Documentation/networking/tuntap.rst and linux/if_tun.h.
func makeTap(name string, t Tap) error {
	fd, err := attachTap(name, t)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, int(t.Owner)); err != nil {
		return fmt.Errorf("TUNSETOWNER: %w", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		return fmt.Errorf("TUNSETPERSIST: %w", err)
	}
	return nil
}

// attachTap opens the tap, making it if it is not there, and returns the descriptor of one queue.
func attachTap(name string, t Tap) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return -1, &UnsupportedError{Feature: "taps (/dev/net/tun, CONFIG_TUN)", Err: err}
	case err != nil:
		return -1, fmt.Errorf("/dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
		if t.MultiQueue {
			flags |= unix.IFF_MULTI_QUEUE
		}
		if t.VNetHeader {
			flags |= unix.IFF_VNET_HDR
		}
		ifr.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("TUNSETIFF: %w", err)
	}
	return fd, nil
}

// OpenTap opens queues of a tap that is there, for a process that may not open /dev/net/tun itself. The caller owns the
// files, whose bytes are Ethernet frames, behind a virtio-net header if the tap has one. A tap without IFF_MULTI_QUEUE has
// one queue, which one process can open at a time: EBUSY.
func (c *Conn) OpenTap(ctx context.Context, name string, t Tap, queues int) (files []*os.File, err error) {
	err = c.ns.Do(ctx, func() error {
		for range max(1, queues) {
			fd, err := attachTap(name, t)
			if err != nil {
				return err
			}
			files = append(files, os.NewFile(uintptr(fd), "tap "+name))
		}
		return nil
	})
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, &OpError{Op: "open", Link: name, Err: err}
	}
	return files, nil
}
