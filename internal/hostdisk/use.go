package hostdisk

// What a device is used for, in the words of the API.
const (
	useLVM        = "LVM"
	useZFS        = "ZFS"
	useMounted    = "mounted"
	useMapped     = "Device Mapper"
	usePartitions = "partitions"
)

// partitionUse names the types of partitions (GPT type GUIDs) that say what a partition is for.
func partitionUse(guid string) string {
	switch guid {
	case "e6d6d379-f507-44c2-a23c-238f2a3df928":
		return useLVM
	case "6a898cc3-1dd2-11b2-99a6-080020736631", "516e7cba-6ecf-11d6-8ff8-00022d09712b":
		return useZFS
	case "21686148-6449-6e6f-744e-656564454649":
		return "BIOS boot"
	case "c12a7328-f81f-11d2-ba4b-00a0c93ec93b":
		return "EFI"
	case "6a945a3b-1dd2-11b2-99a6-080020736631":
		return "ZFS reserved"
	}
	return ""
}

// of returns what a device is used for by itself, and whether it is mounted.
func (u *usage) of(path string) (use string, mounted bool) {
	_, mounted = u.mounts[path]
	byType := partitionUse(u.partType[path])
	switch {
	case u.pvs[path] || byType == useLVM:
		use = useLVM
	case u.zfs[path] || byType == useZFS:
		use = useZFS
	case byType != "":
		use = byType
	case u.fsType[path] != "":
		use = u.fsType[path]
	case mounted:
		use = useMounted
	}
	return use, mounted
}

// osd returns what a device is to Ceph: its logical volumes say, or else its mount point and its partition type.
func (u *usage) osd(path string) OSD {
	if v := u.lvs[path]; v.any {
		return v.OSD
	}
	var o OSD
	if id := mountedOSD(u.mounts[path]); id >= 0 {
		o.add(id)
	}
	switch u.partType[path] {
	case "45b0969e-9b03-4f30-b4c6-b4b80ceff106":
		o.Journals++
	case "30cd0809-c2b2-499c-8879-2d6b78529876":
		o.DB++
	case "5ce17fce-4087-4169-b7ff-056cc58473f9":
		o.WAL++
	case "cafecafe-9b03-4f30-b4c6-b4b80ceff106":
		o.Bluestore = true
	}
	return o
}
