package vmconfig

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseHotplug(t *testing.T) {
	for value, want := range map[string]Hotplug{
		"":           {Network: true, Disk: true, USB: true},
		"1":          {Network: true, Disk: true, USB: true},
		"0":          {},
		"cpu,memory": {CPU: true, Memory: true},
		"cloudinit":  {CloudInit: true},
	} {
		got, err := ParseHotplug(value)
		require.NoError(t, err)
		require.Equal(t, want, got, value)
	}
	_, err := ParseHotplug("disk,bogus")
	require.EqualError(t, err, "invalid hotplug feature 'bogus'")
}

func TestPlanRunning(t *testing.T) {
	const all = "network,disk,usb,cpu,memory"
	nic := "virtio=BC:24:11:00:00:01,bridge=vmbr0"
	for name, c := range map[string]struct {
		key, old, new string // new "-": delete
		flags         string
		main          Section
		want          Action
		text          string
	}{
		"description":                  {key: "description", new: "x", flags: "0", want: ActionRecord},
		"delete tags":                  {key: "tags", old: "a", new: "-", flags: "0", want: ActionRecord},
		"cloud-init":                   {key: "ipconfig3", new: "ip=dhcp", flags: "0", want: ActionRecord},
		"autostart":                    {key: "autostart", new: "1", want: ActionWait},
		"cores":                        {key: "cores", new: "4", flags: all, want: ActionWait},
		"hotplug":                      {key: "hotplug", old: "disk", new: "network", flags: "disk", want: ActionRecord},
		"hotplug to memory":            {key: "hotplug", old: "disk", new: "memory", flags: "disk", want: ActionWait},
		"delete hotplug with cpu":      {key: "hotplug", old: "cpu", new: "-", flags: "cpu", want: ActionWait},
		"tablet":                       {key: "tablet", new: "0", want: ActionTablet},
		"tablet without flag":          {key: "tablet", new: "0", flags: "disk", want: ActionWait},
		"usb":                          {key: "usb0", new: "spice", want: ActionUSB, main: Section{"ostype": "l26"}},
		"usb on old Windows":           {key: "usb0", new: "spice", want: ActionWait, main: Section{"ostype": "win7"}},
		"vcpus":                        {key: "vcpus", new: "3", flags: all, want: ActionVCPUs},
		"vcpus without flag":           {key: "vcpus", new: "3", want: ActionWait},
		"balloon":                      {key: "balloon", old: "512", new: "700", want: ActionBalloon},
		"balloon off":                  {key: "balloon", old: "512", new: "0", want: ActionWait},
		"balloon on":                   {key: "balloon", old: "0", new: "-", want: ActionWait},
		"balloon default":              {key: "balloon", old: "512", new: "-", want: ActionBalloon},
		"memory":                       {key: "memory", old: "2048", new: "4096", flags: all, want: ActionMemory},
		"memory without flag":          {key: "memory", old: "2048", new: "4096", want: ActionWait},
		"memory default":               {key: "memory", old: "2048", new: "-", flags: all, text: "memory can't be lower than 1024 MB"},
		"cpulimit":                     {key: "cpulimit", old: "1", new: "-", flags: "0", want: ActionCgroup},
		"agent trim":                   {key: "agent", old: "1", new: "1,fstrim_cloned_disks=1", want: ActionRecord},
		"agent on":                     {key: "agent", new: "1", want: ActionWait},
		"agent type":                   {key: "agent", old: "1", new: "1,type=isa", want: ActionWait},
		"nic bridge":                   {key: "net0", old: nic, new: nic + "9,tag=5", flags: "0", want: ActionNetUpdate},
		"nic model":                    {key: "net0", old: nic, new: "e1000=BC:24:11:00:00:01,bridge=vmbr0", want: ActionNetReplace},
		"nic model without flag":       {key: "net0", old: nic, new: "e1000=BC:24:11:00:00:01,bridge=vmbr0", flags: "0", want: ActionWait},
		"nic to nat":                   {key: "net0", old: nic, new: "virtio=BC:24:11:00:00:01", want: ActionNetReplace},
		"new nic":                      {key: "net1", new: nic, want: ActionNetPlug},
		"delete nic":                   {key: "net1", old: nic, new: "-", want: ActionNetUnplug},
		"new scsi":                     {key: "scsi0", new: "st:v", want: ActionDiskPlug},
		"new scsi without flag":        {key: "scsi0", new: "st:v", flags: "0", want: ActionWait},
		"new sata":                     {key: "sata0", new: "st:v", want: ActionWait},
		"replace virtio":               {key: "virtio0", old: "st:v", new: "st:w", want: ActionDiskReplace},
		"replace boot disk":            {key: "virtio0", old: "st:v", new: "st:w", main: Section{"boot": "order=virtio0"}, want: ActionDiskReplace, text: "can't unplug bootdisk 'virtio0'"},
		"replace ide":                  {key: "ide0", old: "st:v", new: "st:w", text: "can't unplug device 'ide0'"},
		"delete scsi":                  {key: "scsi0", old: "st:v", new: "-", want: ActionDiskUnplug},
		"delete boot disk":             {key: "scsi0", old: "st:v", new: "-", main: Section{"bootdisk": "scsi0"}, want: ActionDiskUnplug, text: "can't unplug bootdisk 'scsi0'"},
		"delete ide":                   {key: "ide0", old: "st:v", new: "-", want: ActionWait},
		"delete cdrom":                 {key: "scsi0", old: "none,media=cdrom", new: "-", want: ActionWait},
		"throttle":                     {key: "sata0", old: "st:v", new: "st:v,mbps=5,backup=0", flags: "0", want: ActionDiskUpdate},
		"cache":                        {key: "scsi0", old: "st:v", new: "st:v,cache=none", want: ActionWait},
		"medium":                       {key: "ide2", old: "none,media=cdrom", new: "st:iso/x.iso,media=cdrom", flags: "0", want: ActionMedium},
		"disk to cdrom":                {key: "ide2", old: "st:v", new: "none,media=cdrom", text: "unable to change media type"},
		"efidisk":                      {key: "efidisk0", new: "st:v", want: ActionWait},
		"hostpci":                      {key: "hostpci0", new: "01:00", want: ActionWait},
		"memory not named in the call": {key: "memory", old: "2048", new: "4096", flags: all, want: ActionWait, main: Section{"not named": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := New()
			for k, v := range c.main {
				cfg.Main[k] = v
			}
			if c.flags != "" {
				cfg.Main["hotplug"] = c.flags
			}
			if c.old != "" {
				cfg.Main[c.key] = c.old
			}
			if c.new == "-" {
				cfg.DeletePending(c.key, false)
			} else {
				cfg.SetPending(c.key, c.new)
			}
			named := func(string) bool { return !c.main.Has("not named") }
			plan := cfg.PlanRunning(Running{Arch: "x86_64", MachineMajor: 10, MachineMinor: 1}, named)
			require.Len(t, plan, 1)
			require.Equal(t, c.key, plan[0].Key)
			require.Equal(t, c.want, plan[0].Action)
			if c.text == "" {
				require.NoError(t, plan[0].Err)
			} else {
				require.EqualError(t, plan[0].Err, c.text)
			}
		})
	}
}
