package vm

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

func TestProcessFigures(t *testing.T) {
	tail := " S 1 7 7 0 -1 4194560 100 0 0 0 11 22 0 0 20 0 1 0 4242 1000 10 18446744073709551615"
	for _, name := range []string{"qemu", "a) S 9 9 (b", "a\nb"} {
		ticks, rss := parseProcessFigures("77 (" + name + ")" + tail)
		require.Equal(t, []int64{33, 10 * int64(os.Getpagesize())}, []int64{ticks, rss})
	}
	for _, bad := range []string{"", "77 (x", "77 (x) S 1"} {
		ticks, rss := parseProcessFigures(bad)
		require.Equal(t, []int64{0, 0}, []int64{ticks, rss})
	}
	ticks, rss := processFigures(1 << 30)
	require.Zero(t, ticks+rss)
}

func FuzzProcessFigures(f *testing.F) {
	f.Add("1 (a b) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 4242 1000 10")
	f.Fuzz(func(t *testing.T, in string) { parseProcessFigures(in) })
}

func TestBlockSlot(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"scsi0", ""}: "scsi0", {"/machine/peripheral/virtio1/virtio-backend", ""}: "virtio1", {"/machine/peripheral/ide2", "x"}: "ide2",
		{"/machine/unattached/device[3]", ""}: "", {"", "drive-sata4"}: "sata4", {"", ""}: "",
	} {
		require.Equal(t, want, blockSlot(in[0], in[1]), in)
	}
}

func TestLimitsOfTheConfiguration(t *testing.T) {
	for _, c := range []struct {
		units, limit string
		want         machine.Limits
	}{
		{"", "", machine.Limits{}},
		{"200", "1.5", machine.Limits{CPUWeight: 200, CPUCores: 1.5}},
		{"262144", "0", machine.Limits{CPUWeight: 10_000}},
	} {
		main := vmconfig.Section{}
		if c.units != "" {
			main["cpuunits"], main["cpulimit"] = c.units, c.limit
		}
		require.Equal(t, c.want, cpuLimits(main))
	}
}

func TestDownTimeout(t *testing.T) {
	for text, want := range map[string]int{"": 60, "order=1": 60, "order=1,up=3,down=90": 90, "down=x": 60, "1, down=5": 5} {
		require.Equal(t, want, downTimeout(vmconfig.Section{"startup": text}), text)
	}
}

func TestStartTimeout(t *testing.T) {
	for _, c := range []struct {
		nics, want int
		main       vmconfig.Section
	}{
		{0, 30, vmconfig.Section{}},
		{2, 40, vmconfig.Section{"memory": "30720"}},
		{0, 64, vmconfig.Section{"memory": "65536"}},
		{0, 150, vmconfig.Section{"memory": "65536", "hugepages": "2"}},
		{1, 305, vmconfig.Section{"vmstate": "local:100/vm-100-state-x.raw"}},
	} {
		v := &VM{Config: vmconfig.New()}
		v.Config.Main = c.main
		require.Equal(t, float64(c.want), startTimeout(v, c.nics).Seconds())
	}
}
