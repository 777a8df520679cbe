package qapi

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/internal/qemutest"
	"github.com/turtacn/go-proxmox/qmp/qapi/internal/facts"
)

// start starts a QEMU without a guest and returns its session, with a subscription to all events since the start.
func start(t *testing.T, args ...string) (context.Context, *qmp.Client, *qmp.Subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	var sub *qmp.Subscription
	c := qemutest.Open(t, &qmp.Options{Setup: func(c *qmp.Client) { sub = c.Subscribe() }}, args...)
	return ctx, c, sub
}

// TestCommandsOnQEMU runs a round of commands whose arguments and replies have all the shapes there are.
func TestCommandsOnQEMU(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "d.raw")
	require.NoError(t, os.WriteFile(disk, make([]byte, 1<<20), 0o600))
	ctx, c, events := start(t, "-S", "-M", "q35", "-device", "pcie-root-port,id=rp,chassis=1", "-vga", "std")

	status, err := QueryStatus(ctx, c)
	require.NoError(t, err)
	require.Equal(t, RunStatePrelaunch, status.Status)
	version, err := QueryVersion(ctx, c)
	require.NoError(t, err)
	require.Equal(t, int64(c.Greeting().Version.Major), version.QEMU.Major)

	// Unions and alternates: a block graph in one go, an object, a network, a device, a throttle.
	require.NoError(t, BlockdevAdd(ctx, c, &BlockdevOptions{NodeName: new("disk"), Raw: &BlockdevOptionsRaw{
		File: BlockdevRef{Definition: &BlockdevOptions{NodeName: new("disk-file"), File: &BlockdevOptionsFile{Filename: disk}}},
	}}))
	require.NoError(t, ObjectAdd(ctx, c, &ObjectOptions{ID: "io1", Iothread: &IothreadProperties{PollMaxNs: new(int64(0))}}))
	require.NoError(t, NetdevAdd(ctx, c, &Netdev{ID: "net0", User: &NetdevUserOptions{Restrict: new(true)}}))
	require.NoError(t, ChardevAddOf(ctx, c))
	require.NoError(t, DeviceAdd(ctx, c, &DeviceAddArgs{Driver: "virtio-blk-pci", ID: new("vd0"), Bus: new("rp"),
		Properties: map[string]any{"drive": "disk", "iothread": "io1"}}))
	require.NoError(t, BlockSetIOThrottle(ctx, c, &BlockIOThrottle{ID: new("/machine/peripheral/vd0/virtio-backend"), IOPS: 100}))
	require.NoError(t, Transaction(ctx, c, &TransactionArgs{Actions: []TransactionAction{
		{BlockDirtyBitmapAdd: &BlockDirtyBitmapAddWrapper{Data: BlockDirtyBitmapAddArgs{Node: "disk", Name: "b0"}}},
		{BlockDirtyBitmapAdd: &BlockDirtyBitmapAddWrapper{Data: BlockDirtyBitmapAddArgs{Node: "disk", Name: "b1", Disabled: new(true)}}},
	}}))

	nodes, err := QueryNamedBlockNodes(ctx, c, nil)
	require.NoError(t, err)
	require.Len(t, nodes, 2)
	for _, n := range nodes {
		if *n.NodeName == "disk" {
			require.Len(t, n.DirtyBitmaps, 2)
			require.EqualValues(t, 1<<20, n.Image.VirtualSize)
		}
	}
	blocks, err := QueryBlock(ctx, c)
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	require.EqualValues(t, 100, blocks[0].Inserted.IOPS)
	threads, err := QueryIothreads(ctx, c)
	require.NoError(t, err)
	require.Equal(t, "io1", threads[0].ID)
	cpus, err := QueryCPUsFast(ctx, c)
	require.NoError(t, err)
	require.Equal(t, SysEmuTargetX86_64, cpus[0].Target)
	require.NoError(t, MigrateSetParameters(ctx, c, &MigrateSetParametersArgs{MaxBandwidth: new(uint64(1 << 20)), TLSHostname: StrOrNull{S: new("h")}}))
	require.NoError(t, MigrateSetParameters(ctx, c, &MigrateSetParametersArgs{TLSHostname: StrOrNull{N: &struct{}{}}}))
	params, err := QueryMigrateParameters(ctx, c)
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, *params.MaxBandwidth)
	props, err := QOMList(ctx, c, "/machine")
	require.NoError(t, err)
	require.NotEmpty(t, props)
	kind, err := QOMGet(ctx, c, "/machine", "type")
	require.NoError(t, err)
	require.Contains(t, string(kind), "q35")
	listed, err := DeviceListProperties(ctx, c, "virtio-blk-pci")
	require.NoError(t, err)
	require.NotEmpty(t, listed)
	pci, err := QueryPCI(ctx, c)
	require.NoError(t, err)
	require.NotEmpty(t, pci[0].Devices)
	_, err = QueryStats(ctx, c, &StatsFilter{Target: StatsTargetVM})
	require.NoError(t, err)
	_, err = QueryMigrate(ctx, c)
	require.NoError(t, err)
	text, err := HumanMonitorCommand(ctx, c, &HumanMonitorCommandArgs{CommandLine: "info version"})
	require.NoError(t, err)
	require.NotEmpty(t, text)

	require.ErrorIs(t, DeviceDel(ctx, c, "nothing"), qmp.ErrDeviceNotFound)
	require.NoError(t, Cont(ctx, c))
	require.NoError(t, Stop(ctx, c))
	require.NoError(t, SystemReset(ctx, c))
	require.NoError(t, SystemPowerdown(ctx, c))
	require.NoError(t, Quit(ctx, c))
	seen := drain(t, ctx, events)
	for _, want := range []string{EventResume, EventStop, EventReset, EventPowerdown, EventShutdown} {
		require.Contains(t, seen, want)
	}
	require.Equal(t, ShutdownCauseHostQMPQuit, seen[EventShutdown].(*ShutdownEvent).Reason)
}

// ChardevAddOf adds a character device, whose union wraps each branch in "data".
func ChardevAddOf(ctx context.Context, c Client) error {
	_, err := ChardevAdd(ctx, c, "ring", ChardevBackend{Ringbuf: &ChardevRingbufWrapper{Data: ChardevRingbuf{Size: new(int64(4096))}}})
	return err
}

// drain decodes all events until the session's end.
func drain(t *testing.T, ctx context.Context, sub *qmp.Subscription) map[string]Event {
	t.Helper()
	seen := map[string]Event{}
	for {
		e, err := sub.Next(ctx, nil)
		if err != nil {
			require.ErrorIs(t, err, qmp.ErrDisconnected)
			return seen
		}
		data, err := DecodeEvent(e)
		require.NoError(t, err, "%s %s", e.Name, e.Data)
		seen[e.Name] = data
	}
}

// TestFactsAgreeWithQEMU compares the schema of the running QEMU with the facts of its release, member by member.
func TestFactsAgreeWithQEMU(t *testing.T) {
	ctx, c, _ := start(t, "-S", "-M", "none")
	v := c.Greeting().Version
	release := fmt.Sprintf("%d.%d", v.Major, v.Minor)
	need.That(t, "qemu-"+facts.Old, release == facts.Old || release == facts.New, "QEMU is "+release)
	f, err := facts.Load(release)
	require.NoError(t, err)
	s, err := Probe(ctx, c)
	require.NoError(t, err)

	cmp := &comparison{facts: f, schema: s, seen: map[string]bool{}}
	for name, info := range s.commands {
		fact, ok := f.Commands[name]
		if !ok {
			cmp.complain("command %s is not among the facts", name)
			continue
		}
		cmp.arguments(name, fact, info.Command.ArgType)
		if fact.Returns != nil {
			cmp.compare(name+" returns", *fact.Returns, info.Command.RetType)
		}
	}
	for name, fact := range f.Commands {
		if fact.If == nil && !s.HasCommand(name) {
			cmp.complain("command %s is not in QEMU", name)
		}
	}
	for name, info := range s.events {
		fact, ok := f.Events[name]
		if !ok {
			cmp.complain("event %s is not among the facts", name)
			continue
		}
		cmp.arguments(name, fact, info.Event.ArgType)
	}
	require.Empty(t, cmp.complaints)
	require.Greater(t, len(cmp.seen), 400, "types compared")
	require.True(t, s.HasArgumentValue("blockdev-add", "qcow2", "driver"))
	require.True(t, s.HasArgument("blockdev-add", "file", "filename"))
	require.True(t, s.HasArgument("migrate-set-parameters", "block-bitmap-mapping", "bitmaps", "alias"))
	require.True(t, s.HasEventMember("SHUTDOWN", "reason"))
}

// comparison walks the facts and a running schema together.
type comparison struct {
	facts      *facts.Schema
	schema     *Schema
	seen       map[string]bool
	complaints []string
}

func (c *comparison) complain(format string, args ...any) {
	c.complaints = append(c.complaints, fmt.Sprintf(format, args...))
}

func (c *comparison) arguments(name string, fact facts.Command, typ string) {
	if fact.ArgumentType != "" {
		c.compare(name, facts.Ref{Name: fact.ArgumentType}, typ)
		return
	}
	c.object(name, facts.Type{}, fact.Arguments, c.schema.types[typ])
}

func (c *comparison) compare(where string, r facts.Ref, typ string) {
	key := fmt.Sprint(r, typ)
	t := c.schema.types[typ]
	if c.seen[key] || t == nil {
		if t == nil {
			c.complain("%s: QEMU has no type %s", where, typ)
		}
		return
	}
	c.seen[key] = true
	fact, defined := c.facts.Types[r.Name]
	switch {
	case r.List && t.Array != nil:
		c.compare(where+"[]", facts.Ref{Name: r.Name}, t.Array.ElementType)
	case r.List:
		c.complain("%s: no list, but %s", where, t.MetaType)
	case !defined && t.Builtin == nil:
		c.complain("%s: %s is %s in QEMU", where, r.Name, t.MetaType)
	case !defined:
	case fact.Kind == facts.Enum && t.Enum != nil:
		c.sameNames(where, fact.Values, t.Enum.Values)
	case fact.Kind == facts.Alternate && t.Alternate != nil:
		for i, m := range t.Alternate.Members {
			if i < len(fact.Branches) {
				c.compare(where, fact.Branches[i].Type, m.Type)
			}
		}
	case t.Object != nil && (fact.Kind == facts.Struct || fact.Kind == facts.Union):
		c.object(where, fact, c.facts.All(r.Name), t)
	default:
		c.complain("%s: %s is a %s, QEMU has %s", where, r.Name, fact.Kind, t.MetaType)
	}
}

func (c *comparison) object(where string, fact facts.Type, members []facts.Member, t *SchemaInfo) {
	var names []string
	types := map[string]SchemaInfoObjectMember{}
	for _, m := range t.Object.Members {
		names = append(names, m.Name)
		types[m.Name] = m
	}
	c.sameNames(where, members, names)
	for _, m := range members {
		there, ok := types[m.Name]
		if !ok {
			continue
		}
		if optional := there.Default != nil; optional != m.Optional {
			c.complain("%s.%s: optional %v, in QEMU %v", where, m.Name, m.Optional, optional)
		}
		c.compare(where+"."+m.Name, m.Type, there.Type)
	}
	cases := map[string]string{}
	for _, v := range t.Object.Variants {
		cases[v.Case] = v.Type
	}
	for _, b := range fact.Branches {
		if typ, ok := cases[b.Name]; ok {
			c.compare(where+":"+b.Name, b.Type, typ)
		} else if b.If == nil {
			c.complain("%s: QEMU has no branch %s", where, b.Name)
		}
	}
}

// sameNames expects every name of QEMU among the facts, and every fact without a condition in QEMU.
func (c *comparison) sameNames(where string, members []facts.Member, names []string) {
	known, there := map[string]bool{}, map[string]bool{}
	for _, n := range names {
		there[n] = true
	}
	for _, m := range members {
		known[m.Name] = true
		if !there[m.Name] && m.If == nil {
			c.complain("%s: QEMU has no %s", where, m.Name)
		}
	}
	for _, n := range names {
		if !known[n] {
			c.complain("%s: %s is not among the facts", where, n)
		}
	}
}
