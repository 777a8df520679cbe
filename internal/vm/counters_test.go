package vm

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// The counters of a guest's cards are those of the network that its ports are in, not of the daemon's own.
func TestCountersOfCards(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "net0", "virtio,bridge=vmbr0")
	s.startVM(100)
	speak := func() {
		require.NoError(t, s.options.NS.Do(t.Context(), func() error { // asks for the address, which the bridge passes on to all
			conn, err := net.Dial("udp4", "10.9.0.77:9")
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Write([]byte("hello"))
			return err
		}))
	}
	s.eventually("the card has received something", func() bool {
		speak()
		return s.current(100).NICs["tap100i0"].In > 0
	})
	s.sampleAll(t.Context())
	row := s.inv.Guest(100)
	require.Positive(t, row.Live.NetIn)
	require.Zero(t, row.Live.NetOut, "the guest says nothing")
}
