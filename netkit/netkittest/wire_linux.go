package netkittest

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/netkit"
)

// Wire sends and receives frames on a link, or as the guest behind a tap.
type Wire struct {
	t      testing.TB
	f      *os.File
	header int // bytes in front of a frame
}

// Wire opens a link for raw frames: what it sends leaves by the link, and what it receives came in by it. It does not see
// what others send by the link.
func (h *Host) Wire(link string) *Wire {
	h.t.Helper()
	h.connected(link)
	fd := -1
	require.NoError(h.t, h.NS.Do(h.t.Context(), func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		ifr, err := unix.NewIfreq(link)
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
			return err
		}
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1), // it has the VLAN tag that the kernel takes off
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: hton(unix.ETH_P_ALL), Ifindex: int(ifr.Uint32())}),
		)
	}))
	return h.wire(fd, link, 0)
}

// tapHeader is the length of the virtio-net header of a tap that has one. See linux/virtio_net.h: virtio_net_hdr.
const tapHeader = 10

// Plug takes the place of the guest behind a tap: what it sends comes out of the tap. A tap that is up passes frames when
// Plug returns.
func (h *Host) Plug(tap string, properties netkit.Tap) *Wire {
	h.t.Helper()
	files, err := h.Conn.OpenTap(h.t.Context(), tap, properties, 1)
	require.NoError(h.t, err)
	fd, err := unix.FcntlInt(files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(h.t, err)
	require.NoError(h.t, files[0].Close())
	require.NoError(h.t, unix.SetNonblock(fd, true))
	h.connected(tap)
	header := 0
	if properties.VNetHeader {
		header = tapHeader
	}
	return h.wire(fd, tap, header)
}

// connected waits until the kernel has noticed that a link that is up has a carrier; until then it drops what is sent. One
// that has none is as it is.
func (h *Host) connected(link string) {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		l, err := h.Conn.Link(h.t.Context(), link)
		require.NoError(h.t, err)
		if !l.Up || l.Running {
			return
		}
		runtime.Gosched()
	}
}

func (h *Host) wire(fd int, name string, header int) *Wire {
	w := &Wire{t: h.t, f: os.NewFile(uintptr(fd), "wire "+name), header: header}
	h.t.Cleanup(func() { w.f.Close() })
	return w
}

// Close pulls the plug before the test ends.
func (w *Wire) Close() { w.f.Close() }

// Send sends a frame.
func (w *Wire) Send(f Frame) {
	w.t.Helper()
	_, err := w.f.Write(append(make([]byte, w.header), f.Bytes()...))
	require.NoError(w.t, err)
}

// Receive waits for a frame that match wants; false if none comes until ctx ends. Others are dropped.
func (w *Wire) Receive(ctx context.Context, match func(Frame) bool) (Frame, bool) {
	stop := context.AfterFunc(ctx, func() { w.f.SetReadDeadline(time.Unix(1, 0)) })
	defer func() {
		stop()
		w.f.SetReadDeadline(time.Time{})
	}()
	for ctx.Err() == nil {
		b, err := w.read()
		if err != nil {
			return Frame{}, false
		}
		if f, ok := ParseFrame(b); ok && match(f) {
			return f, true
		}
	}
	return Frame{}, false
}

// read reads one frame, with the VLAN tag in its place.
func (w *Wire) read() ([]byte, error) {
	buf, oob := make([]byte, 1<<16), make([]byte, 256)
	if w.header > 0 {
		n, err := w.f.Read(buf)
		return buf[min(n, w.header):n], err
	}
	conn, err := w.f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var n, oobn int
	var recvErr error
	if err := conn.Read(func(fd uintptr) bool {
		n, oobn, _, _, recvErr = unix.Recvmsg(int(fd), buf, oob, 0)
		if errors.Is(recvErr, unix.ENOTSOCK) { // a tap without a header
			n, recvErr = unix.Read(int(fd), buf)
			oobn = 0
		}
		return !errors.Is(recvErr, unix.EAGAIN)
	}); err != nil {
		return nil, err
	}
	if recvErr != nil {
		return nil, recvErr
	}
	return withTag(buf[:n], oob[:oobn]), nil
}

// withTag puts the tag of struct tpacket_auxdata back. See packet(7): PACKET_AUXDATA.
func withTag(frame, oob []byte) []byte {
	const statusVLAN, statusTPID = 1 << 4, 1 << 6
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(frame) < 14 {
		return frame
	}
	for _, m := range msgs {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		status := binary.NativeEndian.Uint32(m.Data)
		if status&statusVLAN == 0 {
			continue
		}
		tpid := uint16(TypeVLAN)
		if status&statusTPID != 0 {
			tpid = binary.NativeEndian.Uint16(m.Data[18:])
		}
		tag := binary.BigEndian.AppendUint16(nil, tpid)
		tag = binary.BigEndian.AppendUint16(tag, binary.NativeEndian.Uint16(m.Data[16:]))
		return slices.Concat(frame[:12], tag, frame[12:])
	}
	return frame
}

// Expect waits for a frame that match wants.
func (w *Wire) Expect(match func(Frame) bool) Frame {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), Patience)
	defer cancel()
	f, ok := w.Receive(ctx, match)
	require.True(w.t, ok, "the frame does not come")
	return f
}

// Quiet makes sure that no frame that match wants comes for the given time.
func (w *Wire) Quiet(d time.Duration, match func(Frame) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	f, ok := w.Receive(ctx, match)
	require.False(w.t, ok, "a frame came: %+v", f)
}

func hton(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }
