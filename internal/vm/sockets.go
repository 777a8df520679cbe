package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// listenFor listens at the sockets of a machine's character devices and has QEMU take them as descriptors, numbered from
// first on. So the folder that they are in is closed to QEMU, and a guest that has taken it over cannot put a link, or a
// socket of somebody else's, in the place of one that the daemon connects to. The caller closes the files once QEMU has them.
func listenFor(r *machineconf.Result, first int) (files []*os.File, err error) {
	for _, sock := range r.Sockets {
		f, err := machine.Listen(sock.Path)
		if err != nil {
			return nil, errors.Join(err, closeAll(files))
		}
		unit, ok := r.Machine.Find(sock.Unit)
		if !ok {
			return nil, errors.Join(fmt.Errorf("vm: no unit %q for the socket %s", sock.Unit, sock.Path), f.Close(), closeAll(files))
		}
		for i, c := range unit.Chardevs {
			if c.ID == sock.Chardev {
				unit.Chardevs[i] = takesSocket(c.ID, first+len(files))
			}
		}
		files = append(files, f)
	}
	return files, nil
}

// takesSocket is a character device on a socket that somebody else listens at. See qapi/char.json: ChardevSocket.
func takesSocket(id string, fd int) machine.Chardev {
	return machine.Chardev{Backend: "socket", ID: id, Props: []machine.Property{
		{Name: "fd", Value: strconv.Itoa(fd)}, {Name: "server", Value: true}, {Name: "wait", Value: false},
	}}
}

// viewerFD is the name under which QEMU keeps a viewer's connection until its VNC server takes it.
const viewerFD = "gpve-viewer"

// addViewer hands a new connection to the guest's VNC server, which listens nowhere, and returns the other end.
func (g *guest) addViewer(ctx context.Context) (net.Conn, error) {
	its, ours, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer its.Close()
	conn, err := net.FileConn(ours) // has a descriptor of its own
	if err := errors.Join(err, ours.Close()); err != nil {
		return nil, err
	}
	c, err := g.proc.Client(ctx)
	if err == nil {
		name := viewerFD + "-" + strconv.FormatUint(g.viewers.Add(1), 10)
		if err = c.DoFD(ctx, "getfd", map[string]any{"fdname": name}, its, nil); err == nil {
			if err = c.Do(ctx, "add_client", map[string]any{"protocol": "vnc", "fdname": name}, nil); err != nil {
				_ = c.Do(context.WithoutCancel(ctx), "closefd", map[string]any{"fdname": name}, nil) // gone if it was taken
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// socketPair makes two connected unix sockets that no child inherits.
func socketPair() (a, b *os.File, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return os.NewFile(uintptr(fds[0]), "viewer"), os.NewFile(uintptr(fds[1]), "viewer"), nil
}
