package machine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/internal/qemutest"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// fromArgument takes an argument of the command line apart into what it says, all as text.
func fromArgument(t testing.TB, name, value string) map[string]string {
	t.Helper()
	out := map[string]string{}
	if strings.HasPrefix(value, "{") { // JSON is the same in both forms
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(value), &v))
		return flatten(v)
	}
	for i, part := range splitOption(value) {
		k, v, ok := strings.Cut(part, "=")
		if !ok {
			require.Zero(t, i, part)
			k, v = map[string]string{"-device": "driver", "-object": "qom-type", "-chardev": "type"}[name], part
		}
		out[k] = v
	}
	return out
}

// flatten writes QMP arguments as the command line would name them.
func flatten(m map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		switch v := v.(type) {
		case map[string]any:
			for kk, vv := range flatten(v) {
				out[k+"."+kk] = vv
			}
		case bool:
			out[k] = map[bool]string{true: "on", false: "off"}[v]
		case float64:
			out[k] = fmt.Sprintf("%v", int64(v))
		default:
			out[k] = fmt.Sprint(v)
		}
	}
	return out
}

// overWire is what arrives at QEMU.
func overWire(t testing.TB, args map[string]any) map[string]any {
	t.Helper()
	b, err := json.Marshal(args)
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

// values are those that a configuration may hold, with all that could be taken for something else.
func value(r *rand.Rand) any {
	switch r.IntN(6) {
	case 0:
		return r.IntN(2) == 0
	case 1:
		return r.IntN(1 << 20)
	case 2:
		return machine.Bytes(r.Int64N(1<<40)) &^ 0xfffff
	case 3:
		return machine.Hex(r.Uint32())
	}
	texts := []string{"a", "a,b", "x=y", "on", "0x10", "é ", "{", ",,", "/dev/disk/by-id/x,y", `"`}
	return texts[r.IntN(len(texts))]
}

func props(r *rand.Rand) []machine.Property {
	var list []machine.Property
	for i := range r.IntN(6) {
		list = append(list, machine.Property{Name: fmt.Sprintf("p%d", i), Value: value(r)})
	}
	return list
}

// TestPlugSaysWhatTheCommandLineSays compares the two forms of units of all shapes, piece by piece and word by word.
func TestPlugSaysWhatTheCommandLineSays(t *testing.T) {
	options := map[string]string{"object-add": "-object", "chardev-add": "-chardev", "netdev_add": "-netdev", "blockdev-add": "-blockdev", "device_add": "-device"}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		u := machine.Unit{Name: "unit"}
		for i := range r.IntN(3) {
			u.Objects = append(u.Objects, machine.Object{Type: []string{"iothread", "rng-random"}[r.IntN(2)], ID: fmt.Sprint("o", i), Props: props(r)})
			u.Netdevs = append(u.Netdevs, machine.Netdev{Type: "tap", ID: fmt.Sprint("n", i), Props: props(r)})
			u.Devices = append(u.Devices, machine.Device{Driver: "d", ID: fmt.Sprint("d", i), Bus: []string{"", "pci.0"}[r.IntN(2)],
				Addr: []machine.Addr{{}, machine.Slot(3), machine.SlotFunction(4, 1)}[r.IntN(3)], Props: props(r)})
			node := machine.Image("qcow2", fmt.Sprint(value(r)))
			node.NodeName, node.Options = fmt.Sprint("b", i), props(r)
			u.Nodes = append(u.Nodes, node)
			path := fmt.Sprint("/run/", value(r))
			u.Chardevs = append(u.Chardevs, []machine.Chardev{machine.ListenSocket(fmt.Sprint("c", i), path), machine.ConnectSocket(fmt.Sprint("c", i), path)}[r.IntN(2)])
		}
		if r.IntN(2) == 0 {
			u.Objects = append(u.Objects, machine.ThrottleGroup("tg", map[string]int64{"bps-total": r.Int64N(1 << 50)}))
		}
		list, err := u.PlugCommands()
		require.NoError(t, err)
		m := machine.Machine{Units: []machine.Unit{u}}
		argv := m.Args()
		argv = argv[1:] // without -nodefaults
		require.Len(t, argv, 2*len(list))
		for i, cmd := range list { // in the same order, too
			name, text := argv[2*i], argv[2*i+1]
			require.Equal(t, options[cmd.Name], name)
			said := fromArgument(t, name, text)
			qmpArgs := flatten(overWire(t, cmd.Arguments))
			if cmd.Name == "chardev-add" {
				qmpArgs = chardevWords(qmpArgs)
			}
			require.Equal(t, words(said), words(qmpArgs), "seed %d: %s %s", seed, name, text)
		}
	}
}

// words writes numbers alike: the command line has units and base 16.
func words(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		var n uint64
		switch {
		case k == "addr" || k == "driver" || k == "id":
		case strings.HasPrefix(v, "0x") && v != "0x10": // the text among the values
			_, _ = fmt.Sscanf(v, "0x%x", &n)
			v = fmt.Sprint(n)
		case strings.HasSuffix(v, "M"):
			_, _ = fmt.Sscanf(v, "%dM", &n)
			v = fmt.Sprint(n << 20)
		}
		out[k] = v
	}
	return out
}

// chardevWords names the parts of chardev-add as -chardev does.
func chardevWords(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		k = strings.TrimPrefix(strings.TrimPrefix(k, "backend."), "data.")
		if k == "addr.type" || k == "server" && v == "off" { // said by "path" alone, and the command line's default
			continue
		}
		out[strings.TrimPrefix(k, "addr.data.")] = v
	}
	return out
}

func TestPlugRefusesWhatOnlyAStartTakes(t *testing.T) {
	twice := []machine.Property{{Name: "hostfwd", Value: "a"}, {Name: "hostfwd", Value: "b"}}
	for _, u := range []machine.Unit{
		{Drives: []machine.Drive{{}}}, {Serials: []string{"null"}}, {TPMs: []machine.TPM{{}}}, {Audiodevs: []machine.Audiodev{{}}}, {ReadConfig: "f"},
		{WatchdogAction: "reset"}, {Netdevs: []machine.Netdev{{Props: twice}}}, {Devices: []machine.Device{{Props: []machine.Property{{Value: "word"}}}}},
		{Chardevs: []machine.Chardev{{Backend: "braille"}}},
		{Chardevs: []machine.Chardev{{Backend: "null", Props: []machine.Property{{Name: "mux", Value: true}}}}},
	} {
		_, err := u.PlugCommands()
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
	_, err := machine.Unit{Devices: []machine.Device{{Driver: "d"}}}.UnplugCommands()
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// room is a board with places for what is plugged.
func room(t testing.TB) *machine.Machine {
	m := machine.New("plug", "q35")
	m.Paused, m.Memory.SizeMiB, m.Board.Accel, m.Display.NoGraphic = true, 64, "", false // as qemutest has it
	for _, id := range []string{"rp1", "rp2", "rp3"} {
		m.Add(machine.Device{Driver: "pcie-root-port", ID: id, Props: []machine.Property{{Name: "chassis", Value: int(id[2] - '0')}}}.Unit(id))
	}
	return m.Add(machine.Device{Driver: "virtio-scsi-pci", ID: "scsi", Addr: machine.Slot(9)}.Unit("scsi"),
		machine.Device{Driver: "virtio-serial-pci", ID: "vser", Addr: machine.Slot(10)}.Unit("vser"))
}

// pieces are units of all kinds.
func pieces(dir string) []machine.Unit {
	node := machine.Node{Driver: "throttle", NodeName: "drive-scsi0", Options: []machine.Property{{Name: "throttle-group", Value: "tg"}},
		File: &machine.Node{Driver: "raw", NodeName: "fmt-scsi0", Cache: &machine.Cache{NoFlush: true}, Discard: "unmap",
			File: &machine.Node{Driver: "file", NodeName: "file-scsi0", Options: []machine.Property{{Name: "filename", Value: filepath.Join(dir, "disk,1")}}}}}
	nic := machine.UserNet("net0")
	nic.Devices[0] = nic.Devices[0].With(machine.Property{Name: "mac", Value: "52:54:00:12:00:01"}, machine.Property{Name: "rx_queue_size", Value: 512},
		machine.Property{Name: "host_mtu", Value: 1400})
	nic.Devices[0].Bus = "rp1"
	return []machine.Unit{
		{Name: "scsi0", Objects: []machine.Object{machine.ThrottleGroup("tg", map[string]int64{"bps-total": 1 << 20})}, Nodes: []machine.Node{node},
			Devices: []machine.Device{{Driver: "scsi-hd", ID: "scsi0", Bus: "scsi.0", Props: []machine.Property{{Name: "drive", Value: "drive-scsi0"},
				{Name: "scsi-id", Value: 3}, {Name: "serial", Value: "a,b=c"}, {Name: "write-cache", Value: machine.On}, {Name: "rotation_rate", Value: 1}, {Name: "wwn", Value: machine.Hex(0x5000c500a0b1c2d3)}}}}},
		nic,
		{Name: "rng0", Objects: []machine.Object{{Type: "rng-random", ID: "rng0", Props: []machine.Property{{Name: "filename", Value: "/dev/urandom"}}}},
			Devices: []machine.Device{{Driver: "virtio-rng-pci", ID: "dev-rng0", Bus: "rp2", Props: []machine.Property{{Name: "rng", Value: "rng0"},
				{Name: "max-bytes", Value: 1024}, {Name: "period", Value: 1000}}}}},
		{Name: "mem", Objects: []machine.Object{{Type: "memory-backend-ram", ID: "mem0", Props: []machine.Property{{Name: "size", Value: machine.Bytes(16 << 20)}}},
			{Type: "iothread", ID: "io0"}}},
		{Name: "agent", Chardevs: []machine.Chardev{machine.ListenSocket("qga0", filepath.Join(dir, "qga,sock"))},
			Devices: []machine.Device{{Driver: "virtserialport", ID: "agent", Bus: "vser.0", Props: []machine.Property{{Name: "chardev", Value: "qga0"},
				{Name: "name", Value: "org.example.agent"}, {Name: "nr", Value: 4}}}}},
		{Name: "logs", Chardevs: []machine.Chardev{
			{Backend: "ringbuf", ID: "ring", Props: []machine.Property{{Name: "size", Value: 4096}}},
			{Backend: "file", ID: "file", Props: []machine.Property{{Name: "path", Value: filepath.Join(dir, "out")}, {Name: "append", Value: true}}},
			{Backend: "socket", ID: "inet", Props: []machine.Property{{Name: "host", Value: "127.0.0.1"}, {Name: "port", Value: 0}, {Name: "server", Value: true}, {Name: "wait", Value: false}}},
			{Backend: "null", ID: "null"},
		}},
	}
}

// state asks QEMU for all it knows of a unit.
func state(t *testing.T, c *qmp.Client, u machine.Unit) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out := map[string]any{}
	properties := func(path string) {
		var list []struct{ Name, Type string }
		require.NoError(t, c.Do(ctx, "qom-list", map[string]any{"path": path}, &list), path)
		for _, p := range list {
			// hotplugged is what the two differ in; a child's or a link's path, and memory regions, are QEMU's own affair.
			if p.Name == "hotplugged" || strings.HasPrefix(p.Type, "child<") || strings.HasPrefix(p.Type, "link<") || p.Name == "thread-id" {
				continue
			}
			var v any
			if c.Do(ctx, "qom-get", map[string]any{"path": path, "property": p.Name}, &v) == nil {
				out[path+"."+p.Name] = v
			}
		}
	}
	for _, d := range u.Devices {
		properties("/machine/peripheral/" + d.ID)
	}
	for _, o := range u.Objects {
		properties("/objects/" + o.ID)
	}
	names := map[string]bool{}
	for i := range u.Nodes {
		u.Nodes[i].Walk(func(n *machine.Node) { names[n.NodeName] = true })
	}
	var nodes, chardevs []map[string]any
	require.NoError(t, c.Do(ctx, "query-named-block-nodes", map[string]any{"flat": true}, &nodes))
	for _, n := range nodes {
		if names[n["node-name"].(string)] {
			out["node "+n["node-name"].(string)] = n
		}
	}
	require.NoError(t, c.Do(ctx, "query-chardev", nil, &chardevs))
	for _, ch := range chardevs {
		if slices.ContainsFunc(u.Chardevs, func(want machine.Chardev) bool { return want.ID == ch["label"] }) {
			out["chardev "+ch["label"].(string)] = portless(ch)
		}
	}
	var network string
	require.NoError(t, c.Do(ctx, "human-monitor-command", map[string]any{"command-line": "info network"}, &network))
	for _, n := range u.Netdevs {
		require.Contains(t, network, n.ID+": ")
		out["netdev "+n.ID] = network
	}
	require.NotEmpty(t, out)
	return out
}

// portless hides the port that the host gave.
func portless(chardev map[string]any) map[string]any {
	if name, ok := chardev["filename"].(string); ok && strings.Contains(name, "127.0.0.1:") {
		chardev = maps.Clone(chardev)
		chardev["filename"] = name[:strings.LastIndexByte(name[:strings.LastIndexByte(name, ',')], ':')]
	}
	return chardev
}

// TestPluggedIsAsStarted starts a machine with each unit, and plugs the unit into one without: QEMU must not tell them apart.
func TestPluggedIsAsStarted(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "disk,1"), make([]byte, 1<<20), 0o600))
	for _, u := range pieces(dir) {
		t.Run(u.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cold := qemutest.Open(t, nil, room(t).Add(u).Args()...)
			want := state(t, cold, u)
			require.NoError(t, cold.Do(ctx, "quit", nil, nil))
			<-cold.Done()

			hot := qemutest.Open(t, nil, room(t).Args()...)
			require.NoError(t, machine.Plug(ctx, hot, u))
			require.Equal(t, want, state(t, hot, u))
		})
	}
}

// TestUnplug takes units out that need no guest for it, and plugs them again.
func TestUnplug(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "disk,1"), make([]byte, 1<<20), 0o600))
	c := qemutest.Open(t, nil, room(t).Args()...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, u := range pieces(dir) {
		if u.Name == "net0" || u.Name == "rng0" { // on PCI the guest has a say
			continue
		}
		for range 2 {
			require.NoError(t, machine.Plug(ctx, c, u), u.Name)
			require.NoError(t, machine.Unplug(ctx, c, u), u.Name)
			require.NoError(t, machine.Unplug(ctx, c, u), "%s, again", u.Name)
		}
	}
	// A unit that cannot be plugged whole leaves nothing behind.
	u := pieces(dir)[0]
	u.Devices[0] = u.Devices[0].With(machine.Property{Name: "no-such-property", Value: 1})
	require.Error(t, machine.Plug(ctx, c, u))
	require.NoError(t, machine.Plug(ctx, c, pieces(dir)[0]))
	// What is in use is not absent.
	inUse := pieces(dir)[0]
	inUse.Devices = nil
	require.Error(t, machine.Unplug(ctx, c, inUse))
}

func TestUnplugThatTheGuestRefuses(t *testing.T) {
	peer := qmptest.New(t, nil)
	peer.Handle("device_del", func(r *qmptest.Request) (any, error) {
		peer.Emit("DEVICE_UNPLUG_GUEST_ERROR", map[string]string{"device": "other", "path": "/x"})
		peer.Emit("DEVICE_UNPLUG_GUEST_ERROR", map[string]string{"device": "d", "path": "/x"})
		return nil, nil
	})
	c, err := qmp.NewClient(t.Context(), peer.Conn(), nil)
	require.NoError(t, err)
	defer c.Close()
	require.ErrorIs(t, machine.Unplug(t.Context(), c, machine.Device{Driver: "x", ID: "d"}.Unit("d")), machine.ErrGuestRefused)
	peer.Handle("device_del", func(*qmptest.Request) (any, error) { return nil, nil })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, machine.Unplug(ctx, c, machine.Device{Driver: "x", ID: "d"}.Unit("d")), context.DeadlineExceeded)
}
