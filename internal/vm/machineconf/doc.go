// Package machineconf translates the configuration of a Proxmox VE guest into a QEMU
// machine: which devices exist, with which ids, where they sit on the PCI buses, what
// the processor looks like, how disks become block graphs.
//
// The translation is a pure function of an [Input]: the configuration, the storages, the
// mappings, and what has to be known about the host ([Host]). Nothing is opened, made or
// reserved. [Probe] fills a Host from the machine it runs on; a file of facts serves as
// well, so that a command line can be computed for another host.
//
// Two forms of the same machine come out:
//
//   - [ProxmoxForm] is what Proxmox VE would start, with its own QEMU: for comparing.
//   - [Launch] is what a stock QEMU runs: the same guest hardware, but always -blockdev,
//     no options that only Proxmox's QEMU has, firmware of the distribution, and taps
//     that somebody else has made. Taps and sockets are named; who starts the machine may
//     replace the names by open descriptors, and the daemon does.
//
// A guest must not notice the difference: every id, address and property that the guest
// can see is the same in both.
package machineconf
