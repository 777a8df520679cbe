package guestfw

import (
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/netkit/firewall/nflog"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func TestLogLine(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))
	p := &nflog.Packet{Prefix: ":100:6:tap100i0-IN: policy DROP: ", Time: at, In: "vmbr0", PhysIn: "eth0", Proto: 0x0806}
	require.Equal(t, "100 6 tap100i0-IN 04/Mar/2026:05:06:07 +0100 policy DROP: IN=vmbr0 PHYSIN=eth0 ARP\n", logLine(p))
	p.Prefix = ":100:6:GROUP-web-IN: "
	require.Equal(t, "100 6 GROUP-web-IN 04/Mar/2026:05:06:07 +0100 IN=vmbr0 PHYSIN=eth0 ARP\n", logLine(p))
	p.Prefix = "of somebody\nelse"
	require.Equal(t, "0 6 - 04/Mar/2026:05:06:07 +0100 of somebody else IN=vmbr0 PHYSIN=eth0 ARP\n", logLine(p))
}

func TestLogFileIsBounded(t *testing.T) {
	l := newLogFile(filepath.Join(t.TempDir(), "fw.log"))
	l.max = 100
	for n := range 100 {
		require.NoError(t, l.write(fmt.Sprintf("line %04d of the log\n", n)))
	}
	require.NoError(t, l.close())
	names, err := filepath.Glob(l.path + "*")
	require.NoError(t, err)
	require.Len(t, names, 1+logFiles)
	for _, name := range names {
		st, err := os.Stat(name)
		require.NoError(t, err)
		require.LessOrEqual(t, st.Size(), l.max)
	}
	last, err := os.ReadFile(l.path)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(last), "line 0099 of the log\n"))
}

func TestReadLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fw.log")
	s := newSite(t, func(o *Options) { o.LogFile = path })
	ctx := t.Context()
	none := call.List{Rows: []logRow{{1, "no content"}}, Total: 1}
	got, err := s.GetNodesFirewallLog(ctx, &schema.GetNodesFirewallLog{})
	require.NoError(t, err)
	require.Equal(t, none, got)

	line := func(guest, hour int) string {
		return fmt.Sprintf("%d 6 x 01/Jan/2026:%02d:00:00 +0000 text", guest, hour)
	}
	require.NoError(t, os.WriteFile(path, []byte(line(100, 10)+"\n"+line(0, 11)+"\n"+line(100, 12)+"\n"), 0o600))
	require.NoError(t, os.WriteFile(path+".1", []byte(line(100, 9)+"\n"), 0o600))
	f, err := os.Create(path + ".2.gz")
	require.NoError(t, err)
	z := gzip.NewWriter(f)
	fmt.Fprintln(z, line(100, 8))
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())

	got, err = s.GetNodesFirewallLog(ctx, &schema.GetNodesFirewallLog{Start: ptr[int64](1), Limit: ptr[int64](1)})
	require.NoError(t, err)
	require.Equal(t, call.List{Rows: []logRow{{2, line(0, 11)}}, Total: 3}, got)
	got, err = s.GetNodesQemuFirewallLog(ctx, &schema.GetNodesQemuFirewallLog{Vmid: 100})
	require.NoError(t, err)
	require.Equal(t, call.List{Rows: []logRow{{1, line(100, 10)}, {2, line(100, 12)}}, Total: 2}, got)
	at := func(hour int) *int64 { return ptr(time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC).Unix()) }
	got, err = s.GetNodesFirewallLog(ctx, &schema.GetNodesFirewallLog{Since: at(8), Until: at(10)})
	require.NoError(t, err)
	require.Equal(t, call.List{Rows: []logRow{{1, line(100, 8)}, {2, line(100, 9)}, {3, line(100, 10)}}, Total: 3}, got)
	got, err = s.GetNodesQemuFirewallLog(ctx, &schema.GetNodesQemuFirewallLog{Vmid: 10})
	require.NoError(t, err)
	require.Equal(t, none, got, "10 is not the beginning of 100")
}

// packets is a source of the log.
type packets chan *nflog.Packet

func (p packets) Close() error { return nil }

func (p packets) Next(ctx context.Context) (*nflog.Packet, error) {
	select {
	case one := <-p:
		return one, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestPacketsAreLoggedWhileTheFirewallIsOn(t *testing.T) {
	path, source := filepath.Join(t.TempDir(), "fw.log"), make(packets, 1)
	s := newSite(t, func(o *Options) {
		o.LogFile = path
		o.Packets = func(context.Context) (PacketSource, error) { return source, nil }
	})
	s.put(clusterKey, onText)
	stop := s.run()
	source <- &nflog.Packet{Prefix: ":0:6:PVEFW-HOST-IN: DROP: ", Time: time.Unix(0, 0).UTC(), Proto: 0x0806}
	source <- &nflog.Packet{Proto: 0x0806} // taken when the first is written
	stop()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "0 6 PVEFW-HOST-IN 01/Jan/1970:00:00:00 +0000 DROP: ARP\n"), string(text))
}
