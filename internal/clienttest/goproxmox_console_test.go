package clienttest

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	proxmox "github.com/luthermonson/go-proxmox"
	"github.com/stretchr/testify/require"
)

// stream collects what the client's channels of a console deliver. Two habits of the client ask for care: it closes the
// channels while its own reader may still want to send, so they are emptied until they are closed; and after most errors its
// reader goes on and panics at the thousandth one, so errors are taken slowly and end the test at once.
type stream struct {
	text   lockedBuffer
	errs   lockedBuffer
	done   chan struct{}
	closer func() error
	once   sync.Once
}

func newStream(t *testing.T, recv chan []byte, errs chan error, closer func() error) *stream {
	s := &stream{done: make(chan struct{}), closer: closer}
	t.Cleanup(s.close)
	go func() { // ends when the client closes both channels
		defer close(s.done)
		for recv != nil || errs != nil {
			select {
			case data, ok := <-recv:
				if !ok {
					recv = nil
				}
				s.text.Write(data)
			case err, ok := <-errs:
				if !ok {
					errs = nil
				} else if err != nil {
					s.errs.Write([]byte(err.Error() + "\n"))
					time.Sleep(20 * time.Millisecond)
				}
			}
		}
	}()
	return s
}

func (s *stream) close() {
	s.once.Do(func() {
		s.closer()
		<-s.done
	})
}

// await waits until the console has shown a text.
func (s *stream) await(t *testing.T, limit time.Duration, text string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the console said:\n%s\nerrors: %s", s.text.tail(30), s.errs.String())
		}
	}()
	eventually(t, limit, "the console shows "+text, func() (bool, error) {
		if strings.Contains(s.text.String(), text) {
			return true, nil
		}
		if text := s.errs.String(); text != "" {
			return false, errors.New(text)
		}
		return false, nil
	})
}

// terminal reads the boot on the serial console and types a command.
func (v *vmTest) terminal(t *testing.T) {
	term, err := v.vm.TermProxy(t.Context())
	require.NoError(t, err)
	require.Equal(t, rootUser, term.User)
	require.NotZero(t, int(term.Port))
	require.True(t, strings.HasPrefix(term.UPID, "UPID:"+node+":"), term.UPID)
	send, recv, errs, closer, err := v.vm.TermWebSocket(term)
	require.NoError(t, err)
	s := newStream(t, recv, errs, closer)
	s.await(t, 2*time.Minute, guestUp+"harbour "+network+"10 ")
	send <- []byte("echo $((6 * 7))-knots\n")
	s.await(t, 20*time.Second, "42-knots")
	s.close()
}

// screen speaks VNC until the client's password is asked for.
func (v *vmTest) screen(t *testing.T) {
	ctx := t.Context()
	vnc, err := v.vm.VNCProxy(ctx, &proxmox.VNCConfig{Websocket: true, GeneratePassword: true})
	require.NoError(t, err)
	require.NotEmpty(t, vnc.Cert)
	require.NotEmpty(t, vnc.Password)
	send, recv, errs, closer, err := v.vm.VNCWebSocket(vnc)
	require.NoError(t, err)
	s := newStream(t, recv, errs, closer)
	s.await(t, 10*time.Second, "RFB 003.008\n")
	send <- []byte("RFB 003.008\n")
	eventually(t, 10*time.Second, "the server offers ways to authenticate", func() (bool, error) {
		_, offered, _ := bytes.Cut([]byte(s.text.String()), []byte("RFB 003.008\n"))
		return len(offered) >= 2 && int(offered[0]) == len(offered)-1 && bytes.Contains(offered[1:], []byte{2}), nil // 2: by password
	})
	require.Empty(t, s.errs.String())
	s.close()

	_, _, _, _, err = v.vm.VNCWebSocket(&proxmox.VNC{Port: vnc.Port, Ticket: "PVEVNC:00000000::forged"})
	require.Error(t, err, "a forged ticket opens nothing")
}
