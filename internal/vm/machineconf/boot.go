package machineconf

import (
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// firstBootIndex is the index of the first device; lower ones are free for hands.
const firstBootIndex = 100

// bootIndexes returns the boot index of every device that is booted from.
func bootIndexes(conf vmconfig.Section) map[string]int {
	text, set := conf["boot"]
	boot, err := vmconfig.ParseBoot(text)
	switch {
	case !set || err != nil:
		return legacyBoot(conf, "cdn")
	case boot.Legacy != "":
		return legacyBoot(conf, boot.Legacy)
	case len(boot.Order) > 0:
		index := map[string]int{}
		for i, key := range boot.Order {
			index[key] = firstBootIndex + i
		}
		return index
	case boot.Order != nil:
		return legacyBoot(conf, "cdn") // "order=" names nothing and counts as not given
	}
	return nil
}

// legacyBoot reads letters: d CD-ROM drives, c the boot disk, n network cards. Each
// letter has a hundred numbers of its own.
func legacyBoot(conf vmconfig.Section, letters string) map[string]int {
	index := map[string]int{}
	bootdisk := conf.Text("bootdisk", "")
	for i, letter := range letters {
		next := (i + 1) * firstBootIndex
		switch letter {
		case 'd', 'c':
			for _, d := range conf.Drives() {
				if d.IsCloudInit() && letter == 'd' || d.IsCDROM() != (letter == 'd') {
					continue
				}
				if letter == 'd' || d.Key == bootdisk {
					index[d.Key] = next
				}
				next++
			}
		case 'n':
			for n := range 32 {
				key := "net" + strconv.Itoa(n)
				if conf.Has(key) {
					index[key] = next
					next++
				}
			}
		}
	}
	return index
}
