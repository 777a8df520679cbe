package hostdisk

// Unused tells whether nothing is known to use the disk.
func (d *Disk) Unused() bool { return d.Used == "" }

// TakesJournals tells whether a new OSD's journal may go to the disk: it holds no OSD's data, and is unused, has
// partitions on a GPT, or is LVM's.
func (d *Disk) TakesJournals() bool {
	return d.OSD.ID() < 0 && (d.Unused() || d.GPT && d.Used == usePartitions || d.Used == useLVM)
}

// Rows returns the disks as the API's method disks/list gives them. With partitions, each disk is followed by its
// partitions, and says of itself only that it has them.
func Rows(disks []Disk, partitions bool) []map[string]any {
	rows := []map[string]any{}
	for i := range disks {
		row := disks[i].Row()
		rows = append(rows, row)
		if partitions && len(disks[i].Partitions) > 0 {
			row["used"] = usePartitions
			for j := range disks[i].Partitions {
				rows = append(rows, disks[i].Partitions[j].Row())
			}
		}
	}
	return rows
}

// Row returns one disk or partition as a row of the API's method disks/list.
func (d *Disk) Row() map[string]any {
	row := map[string]any{"devpath": d.Path, "size": d.SizeBytes, "gpt": bit(d.GPT), "osdid": d.OSD.ID(), "osdid-list": nil, "type": d.Type}
	if d.Type == Part {
		row["parent"] = d.Parent
	} else {
		row["serial"], row["vendor"], row["model"], row["wwn"] = d.Serial, d.Vendor, d.Model, d.WWN
		row["rpm"], row["health"], row["wearout"] = d.RPM, d.health, d.life
	}
	if d.ByID != "" {
		row["by_id_link"] = d.ByID
	}
	if d.Used != "" {
		row["used"] = d.Used
	}
	if d.Mounted {
		row["mounted"] = 1
	}
	if len(d.OSD.IDs) > 0 {
		row["osdid-list"], row["bluestore"], row["osdencrypted"] = d.OSD.IDs, bit(d.OSD.Bluestore), bit(d.OSD.Encrypted)
	}
	for key, n := range map[string]int{"journals": d.OSD.Journals, "db": d.OSD.DB, "wal": d.OSD.WAL} {
		if n > 0 {
			row[key] = n
		}
	}
	return row
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
