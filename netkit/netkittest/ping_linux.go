package netkittest

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// echo is a socket for echo requests.
type echo struct {
	f   *os.File
	v6  bool
	dst netip.Addr
	id  uint16
}

// echo opens a socket in the namespace.
func (h *Host) echo(ctx context.Context, dst netip.Addr) (*echo, error) {
	e := &echo{v6: dst.Is6(), dst: dst}
	fd := -1
	err := h.NS.Do(ctx, func() (err error) {
		family, proto := unix.AF_INET, unix.IPPROTO_ICMP
		if e.v6 {
			family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
		}
		fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
		return err
	})
	if err != nil {
		return nil, err
	}
	e.f, e.id = os.NewFile(uintptr(fd), "ping "+dst.String()), uint16(fd)^uint16(os.Getpid())
	return e, nil
}

// send sends one request. That there is no way to dst, or that the kernel may not send, is as good as lost.
func (e *echo) send(seq uint16) error {
	b := []byte{8, 0, 0, 0}
	if e.v6 {
		b[0] = 128
	}
	b = binary.BigEndian.AppendUint16(b, e.id)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = append(b, make([]byte, 48)...)
	var to unix.Sockaddr
	if e.v6 {
		to = &unix.SockaddrInet6{Addr: e.dst.As16()} // the kernel fills the checksum in
	} else {
		binary.BigEndian.PutUint16(b[2:], Checksum(b))
		to = &unix.SockaddrInet4{Addr: e.dst.As4()}
	}
	conn, err := e.f.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Write(func(fd uintptr) bool {
		unix.Sendto(int(fd), b, 0, to)
		return true
	})
}

// receive waits for an answer and returns its number.
func (e *echo) receive() (uint16, error) {
	buf := make([]byte, 2048)
	for {
		n, err := e.f.Read(buf)
		if err != nil {
			return 0, err
		}
		b, typ := buf[:n], byte(129)
		if !e.v6 { // a raw IPv4 socket gives the IP header, too
			if n < 20 || netip.AddrFrom4([4]byte(b[12:16])) != e.dst {
				continue
			}
			b, typ = b[min(n, int(b[0]&0xf)*4):], 0
		}
		if len(b) >= 8 && b[0] == typ && binary.BigEndian.Uint16(b[4:]) == e.id {
			return binary.BigEndian.Uint16(b[6:]), nil
		}
	}
}

// ping sends requests until one is answered or ctx ends.
func (h *Host) ping(ctx context.Context, dst netip.Addr) error {
	e, err := h.echo(ctx, dst)
	if err != nil {
		return err
	}
	defer e.f.Close()
	for seq := uint16(1); ctx.Err() == nil; seq++ {
		if err := e.send(seq); err != nil {
			return err
		}
		e.f.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := e.receive(); err == nil {
			return nil
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return context.Cause(ctx)
}

// Pinger sends echo requests at an interval and notes which are answered. See [Host.Pinger].
type Pinger struct {
	e    *echo
	stop chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	sent     int
	answered map[int]bool
}

// Pinger begins to ping dst. It ends with Stop, or with the test.
func (h *Host) Pinger(dst netip.Addr, interval time.Duration) *Pinger {
	h.t.Helper()
	e, err := h.echo(h.t.Context(), dst)
	require.NoError(h.t, err)
	p := &Pinger{e: e, stop: make(chan struct{}), answered: map[int]bool{}}
	p.wg.Go(func() { p.send(interval) })
	p.wg.Go(p.receive)
	h.t.Cleanup(func() { p.Stop() })
	return p
}

func (p *Pinger) send(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		p.sent++
		n := p.sent
		p.mu.Unlock()
		if p.e.send(uint16(n)) != nil {
			return
		}
	}
}

// receive notes answers; the number of one is that of the latest request with its last 16 bits.
func (p *Pinger) receive() {
	for {
		seq, err := p.e.receive()
		if err != nil {
			return
		}
		p.mu.Lock()
		n := p.sent&^0xffff | int(seq)
		if n > p.sent {
			n -= 1 << 16
		}
		p.answered[n] = true
		p.mu.Unlock()
	}
}

// Counts returns how many requests were sent and answered until now.
func (p *Pinger) Counts() (sent, answered int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent, len(p.answered)
}

// Stop ends the pings and returns how many were sent and answered. It may be called again.
func (p *Pinger) Stop() (sent, answered int) {
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
		p.e.f.SetReadDeadline(time.Unix(1, 0))
	}
	p.mu.Unlock()
	p.wg.Wait()
	p.e.f.Close()
	return p.Counts()
}
