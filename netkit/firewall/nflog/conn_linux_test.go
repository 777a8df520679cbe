package nflog

import (
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
)

func TestListen(t *testing.T) {
	need.Root(t)
	need.Tool(t, "nft", "nsenter")
	ns, err := netkit.NewNS()
	require.NoError(t, err)
	defer ns.Close()
	c, err := Listen(t.Context(), ns, 7)
	require.NoError(t, err)
	defer c.Close()
	_, err = Listen(t.Context(), ns, 7)
	require.ErrorIs(t, err, ErrBusy)

	cmd := exec.Command("nsenter", "--net="+ns.Path(), "nft", `add table inet t; add chain inet t out { type filter hook output priority 0; }; add rule inet t out udp dport 9 log prefix ":5:6:x: DROP: " group 7 drop`)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, ns.Do(t.Context(), func() error {
		u, err := net.Dial("udp", "127.0.0.1:9")
		if err == nil {
			_, _ = u.Write([]byte("x"))
			u.Close()
		}
		return err
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := c.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, ":5:6:x: DROP: ", p.Prefix)
	require.Regexp(t, `^OUT=lo SRC=127\.0\.0\.1 DST=127\.0\.0\.1 LEN=29 .* PROTO=UDP SPT=\d+ DPT=9 LEN=9$`, p.String())

	done, end := context.WithCancel(t.Context())
	end()
	_, err = c.Next(done)
	require.ErrorIs(t, err, context.Canceled)
}
