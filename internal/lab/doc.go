// Lab runs test binaries as root on a kernel that has what the host's may lack (ZFS, LVM thin pools, NFS, VLAN filtering,
// connection tracking on bridges) and that may break: Debian's, in a QEMU guest with fresh disks.
//
//	go run ./internal/lab test                          # every package of the list, in one boot: make test-lab
//	go run ./internal/lab test storage/zfs -- -test.run Rollback -test.v
//	go test -exec 'go run github.com/turtacn/go-proxmox/internal/lab exec' ./storage/zfs
//	go run ./internal/lab run 'zpool create tank /dev/vdb && zfs list'
//	go run ./internal/lab image                         # builds the image, prints its folder: make lab
//
// What the guest gives to a test:
//
//   - The repository, read only, at the path it has on the host, so that testdata and the tiny guest are where they were.
//   - Disks with the serials lab0, lab1, … (need.LabDisk), empty at the start of each package. A package that leaves one busy
//     fails.
//   - The environment variables GPVE_LAB=1, GPVE_TEST_REQUIRE and whatever else begins with GPVE_ on the host; and GPVE_LAB_OUT,
//     a writable folder which the flag -out names on the host.
//   - udev, /tmp in memory, a root file system whose changes are thrown away, no network beyond itself.
//   - AMD's virtualization, emulated: after modprobe kvm_amd guests in the guest run with -accel kvm.
//
// Output passes through as it comes. The exit status is the tests'; a kernel that panics, hangs beyond the time limit or
// powers off is an error with the last lines of its console.
//
// The image (kernel, initial RAM disk, root file system) is made once by image/build.sh for each state of the folder image, and
// lives in GPVE_LAB_DIR, by default go-proxmox/lab in the user's cache folder, so that clones of the repository share it.
// Compiled ZFS modules stay there too. Making and running it needs root, because files pass through with their owners.
//
// The guest is emulated, since a /dev/kvm that opens need not work (in some clouds it aborts QEMU). Where it does,
// GPVE_LAB_MACHINE=q35,accel=kvm is many times faster.
package main
