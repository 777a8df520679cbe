// Package access knows who the users are, how they prove it, and what they may do. It owns user.cfg, domains.cfg and the
// secrets beside them, implements the API below /access, and answers the permission checks of every other room.
//
//	acc, err := access.New(store, nil)
//	go acc.Run(ctx) // optional: keeps checks from asking the store
//	err = acc.Check(ctx, "/vms/100", "VM.PowerMgmt") // of the caller in ctx; a *call.Error with Proxmox VE's text
//	ok := acc.Can(ctx, "/storage/local", "Datastore.Audit")
//
// It does not know what a guest or a storage is: paths are text. Other rooms that make or remove such objects put the
// parts of [Service.Parts] into their own transaction, so that an object and its place in user.cfg appear as one.
//
// Pure parts are below: usercfg (the file, evaluation), realm (domains.cfg, synchronisation), password (hashes).
// Passwords are kept by this package for the realms pam and pve; there is no PAM. Realms of other types can be
// configured, and nobody can log in to them yet.
//
// A Service is safe for concurrent use and starts no goroutine of its own. It needs no privileges.
package access
