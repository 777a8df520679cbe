// Package lvmgroup is what the drivers of thick and of thin logical volumes have in common: the volumes of one volume group,
// their devices and whose they are, locks, names of what is not finished, and streams.
//
// Locks are files in a run folder, so they also hold between processes, and end with the process that has them. A second kind
// of file there says that a volume is attached, and to whom: it lasts as long as the activation, until the machine restarts.
// Whether a volume has a device, and who has that open, the kernel is asked, and lvs only for what is on the disks: it reads them
// all, each time.
//
// Nothing here locks a volume group against other machines: who shares one serialises the calls that change it.
package lvmgroup
