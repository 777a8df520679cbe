// Package volid is the table of Proxmox VE's volume ids: what a name means on
// each type of storage, which name a new volume gets, and where a volume lies.
//
// Everything here is a pure function of its arguments. No file is opened, no
// command run, no state kept; what only a host can know (does a keyring exist,
// which LUN carries this zvol) is passed in as [Facts]. So the same table serves
// the drivers, which add activation, and tools that only describe.
//
// It is not a list of volumes and does not check that one exists.
//
//	id, err := volid.Split("local:100/vm-100-disk-0.qcow2")
//	st := volid.Storage{ID: "local", Type: "dir", Options: map[string]string{"path": "/srv/vm"}}
//	v, err := st.Parse(id.Name)               // images, owner 100, qcow2
//	loc, err := st.Locate(id.Name, "", nil)   // volid.File{Path: "/srv/vm/images/100/vm-100-disk-0.qcow2"}
//
// Names come from users: a name that could leave its storage's folder, carries a
// control character or is longer than a file name may be does not parse.
//
// All functions are safe for concurrent use.
package volid
