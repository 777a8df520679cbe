// Package cloudinit makes the cloud-init medium of a virtual machine out of its configuration: the files of the three
// kinds that Proxmox VE knows (nocloud, configdrive2, opennebula), and the ISO image that carries them.
//
// Generate is pure: what the host contributes (its DNS settings, snippets that replace generated files) is passed in.
// Files have the shape that Proxmox VE gives them for ordinary values; a value that would change the structure of a
// YAML, JSON or shell file is quoted.
//
//	medium, err := cloudinit.Generate(cfg.Main, cloudinit.Options{VMID: 100, HostDNS: dns})
//	image, err := medium.ISO(time.Now())
//
// Passwords stand in the medium as they stand in the configuration. Nothing here logs.
package cloudinit
