// Package qimg runs qemu-img on open files, and reads image headers itself.
//
// Three rules make it safe on images that a guest or a user has written. The format is always given, never probed by QEMU.
// The image is a file descriptor of ours, handed down as /proc/self/fd/N, so no name is looked up a second time. What an
// image is backed by is what the caller says ([storage.Image].Backing), never what its header says. Images from outside
// pass [CheckUntrusted] first, which knows the headers of qcow2 and VMDK and refuses whatever reaches outside the file.
//
//	tool, err := qimg.New(nil)
//	err = tool.Create(ctx, file, qimg.CreateOptions{Format: storage.QCOW2, SizeBytes: 8 << 30})
//	hdr, err := qimg.CheckUntrusted(upload, uploadSize, storage.QCOW2)
//	err = tool.Copy(ctx, dst, src, qimg.CopyOptions{Progress: func(done, total int64) { … }})
//
// A Tool is safe for concurrent use. Cancelling ctx kills the process group of the command, and
// the kernel kills the command when the calling process ends. qemu-img runs with the uid of
// the caller, an empty environment but LC_ALL and PATH, and with limits on memory and processor time where it reads what is
// not trusted. Linux only: other systems get errors.ErrUnsupported.
package qimg
