// Package vma reads and writes VMA archives: the format of Proxmox VE's backups of virtual machines.
//
// An archive has a header with configuration files and a list of devices (disks), and then extents with the devices' data
// in any order. It is made to be streamed: reading and writing need one pass and a few MiB of memory, whatever the size.
//
//	stream, err := vma.Decompress(file, vma.Zstd, nil)       // archives are compressed as a whole
//	r, err := vma.NewReader(stream, nil)                     // reads the header
//	conf := r.Header().Configs[0].Data                       // qemu-server.conf
//	err = r.Extract(ctx, map[uint8]vma.Target{1: {W: image, Zeroed: true}})
//
// Archives come from outside. The header's checksum, sizes, offsets and names are checked before anything is made of them;
// a device's cluster comes at most once, never beyond the device's end, and at the end none may be missing. So the data
// that an archive gives is bounded by the sizes that its header states, which the caller sees first. What a configuration
// in the archive may do is the caller's to judge, as if a user had written it.
//
// # Format
//
// All numbers are big-endian, unless stated otherwise.
//
//	header     0 "VMA\0"   4 version=1 (u32)   8 uuid   24 time of the backup, Unix (u64)   32 MD5 of the header, these 16 bytes as zeros
//	          48 offset, 52 size of the blobs   56 size of the header (u32 each, multiples of 512)
//	        2044 256 × offset of a configuration's name (u32)   3068 256 × offset of its data (u32); 0 is none
//	        4096 256 × device: offset of its name (u32), 4 reserved, size in bytes (u64), 16 reserved; the index is its id, 0 is none
//	       12288 blobs: size (u16, little-endian), bytes; offsets count from the start of all blobs, and 0 is never one. Names end in NUL
//	extent     0 "VMAE"    4 reserved (u16)    6 number of 4 KiB blocks (u16)   8 uuid   24 MD5 of these 512 bytes, as above
//	          40 59 × cluster: mask (u16), reserved (u8), device (u8), number (u32)
//	         512 the blocks
//
// A cluster is 64 KiB of a device; bit i of its mask says that its i-th block of 4 KiB follows, and the others are zeros.
// See vma_spec.txt of Proxmox VE's QEMU. A device called vmstate is a stream of unknown length: the memory of the guest.
//
// Readers and writers are for one goroutine each.
package vma
