package volume

import (
	"slices"
	"strings"
)

// storageType is which options a type of storage has.
type storageType struct {
	name     string
	required []string // must be there
	fixed    []string // cannot be changed or deleted after creation
	optional []string
	contents []string // that it can hold, none among them where it may hold nothing
	// secrets are options that never appear in the configuration; key files are kept apart, see secrets.
	secrets []string
}

// has reports whether the type has an option.
func (t *storageType) has(option string) bool {
	return slices.Contains(t.required, option) || slices.Contains(t.optional, option)
}

func words(s string) []string { return strings.Fields(s) }

// common to storages with a folder of their own.
const folderOptions = "nodes disable content format prune-backups max-protected-backups mkdir create-base-path create-subdirs "

// storageTypes is the table of Proxmox VE's storage types.
var storageTypes = func() map[string]*storageType {
	const anything = "images rootdir vztmpl iso backup snippets import none"
	table := []storageType{
		{name: "dir", required: words("path"), fixed: words("path snapshot-as-volume-chain"), contents: words(anything),
			optional: words(folderOptions + "shared content-dirs is_mountpoint bwlimit preallocation snapshot-as-volume-chain")},
		{name: "btrfs", required: words("path"), fixed: words("path"), contents: words(anything),
			optional: words(folderOptions + "shared is_mountpoint nocow preallocation")},
		{name: "nfs", required: words("server export path"), fixed: words("server export path snapshot-as-volume-chain"),
			contents: words("images rootdir vztmpl iso backup snippets import"),
			optional: words(folderOptions + "content-dirs options bwlimit preallocation snapshot-as-volume-chain")},
		{name: "cifs", required: words("server share path"), fixed: words("server share path snapshot-as-volume-chain"),
			contents: words("images rootdir vztmpl iso backup snippets import"), secrets: words("password"),
			optional: words(folderOptions + "content-dirs options bwlimit preallocation snapshot-as-volume-chain subdir username password domain smbversion")},
		{name: "cephfs", required: words("path"), fixed: words("path"), contents: words("backup vztmpl iso snippets import"), secrets: words("keyring"),
			optional: words(folderOptions + "content-dirs monhost username keyring subdir fs-name fuse options bwlimit")},
		{name: "lvm", required: words("vgname"), fixed: words("vgname base"), contents: words("images rootdir"),
			optional: words("nodes disable content shared bwlimit base saferemove saferemove-stepsize saferemove_throughput tagged_only snapshot-as-volume-chain")},
		{name: "lvmthin", required: words("vgname thinpool"), fixed: words("vgname thinpool"), contents: words("images rootdir"),
			optional: words("nodes disable content bwlimit")},
		{name: "zfspool", required: words("pool"), fixed: words("pool"), contents: words("images rootdir"),
			optional: words("nodes disable content bwlimit blocksize sparse mountpoint")},
		{name: "zfs", required: words("portal target pool blocksize iscsiprovider"), fixed: words("portal target pool blocksize iscsiprovider"), contents: words("images"),
			optional: words("nodes disable content bwlimit sparse nowritecache comstar_hg comstar_tg lio_tpg zfs-base-path")},
		{name: "rbd", contents: words("images rootdir"), secrets: words("keyring"),
			optional: words("nodes disable content bwlimit monhost pool data-pool namespace username krbd keyring")},
		{name: "iscsi", required: words("portal target"), fixed: words("portal target"), contents: words("images none"), optional: words("nodes disable content bwlimit")},
		{name: "iscsidirect", required: words("portal target"), fixed: words("portal target"), contents: words("images none"), optional: words("nodes disable content bwlimit")},
		{name: "pbs", required: words("server datastore"), fixed: words("server datastore"), contents: words("backup none"), secrets: words("password encryption-key master-pubkey"),
			optional: words("nodes disable content namespace port username password encryption-key master-pubkey fingerprint prune-backups max-protected-backups")},
		{name: "esxi", required: words("server username"), contents: words("import"), secrets: words("password"),
			optional: words("nodes disable content port password skip-cert-verification")},
	}
	types := make(map[string]*storageType, len(table))
	for i := range table {
		types[table[i].name] = &table[i]
	}
	return types
}()
