// Package lvmcmd runs the commands of lvm2 and reads their reports, for the storage drivers that stand on volume groups.
//
// Every command runs with the device filter of the machine and one of our own: block devices that belong to guests are never
// scanned, so that a volume group which a guest writes into its disk is not seen, whatever name it bears. Changes run one at a
// time in a [Tool]; beyond it lvm2's own lock keeps them apart.
//
// A change that has begun is never broken off: a command that is killed while devices are suspended leaves them so. ctx
// bounds the waiting before it.
package lvmcmd
