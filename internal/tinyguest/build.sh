#!/bin/bash
# build.sh OUTDIR: makes OUTDIR/disk.qcow2, a guest of about 20 MB that boots in seconds under emulation:
# Debian's kernel, busybox, the QEMU guest agent. Nothing is installed; needs apt-get, dpkg-deb, cpio, zstd, syslinux,
# mtools, dosfstools, kmod, qemu-img. A finished disk is not built again.
set -euo pipefail
out=$(mkdir -p "${1:?folder for the image}" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
stamp=$(cat "$here/build.sh" "$here/init" | sha256sum | cut -d' ' -f1)
[ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ] && [ -s "$out/disk.qcow2" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The packages are only unpacked: a kernel that is installed would build an initramfs and touch the boot loader.
image=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/{print $2; exit}')
chmod 777 "$work" # apt drops its privileges for the download
apt-get download -qq "$image" busybox-static qemu-guest-agent libglib2.0-0 liburing2 libnuma1 libpcre2-8-0 libselinux1 libudev1
mkdir pkg
for deb in ./*.deb; do dpkg-deb -x "$deb" pkg; done
release=$(basename pkg/boot/vmlinuz-* | sed 's/^vmlinuz-//')
depmod -b pkg "$release"

root=$work/root
mkdir -p "$root"/{bin,sbin,dev,proc,sys,tmp,run,root,mnt,etc/acpi/PWRF,mod,lib64,usr/sbin,usr/lib,var/run,var/lock,usr/local/var/run}
ln -s usr/lib "$root/lib"
cp pkg/bin/busybox "$root/bin/"
for applet in $(pkg/bin/busybox --list); do [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"; done

# Modules in the order in which they must be loaded.
for m in virtio_pci virtio_blk virtio_net virtio_console virtio_balloon virtio_rng virtio_scsi ahci ata_piix sd_mod sr_mod \
	e1000 button evdev isofs vfat nls_ascii nls_cp437; do
	modprobe -d pkg -S "$release" --show-depends "$m" | sed -n 's/^insmod //p' || true
done | awk '!seen[$1]++' | while read -r ko; do
	cp "$ko" "$root/mod/"
	basename "$ko" >> "$root/mod/order"
done

# The agent with the libraries that it names, from the packages or the host.
cp pkg/usr/sbin/qemu-ga "$root/usr/sbin/"
LD_LIBRARY_PATH=$work/pkg/usr/lib/x86_64-linux-gnu:$work/pkg/lib/x86_64-linux-gnu ldd pkg/usr/sbin/qemu-ga |
	awk '/=> \//{print $3} /^\t\/lib64/{print $1}' | while read -r lib; do
	case $lib in /lib64/*) cp -L "$lib" "$root/lib64/" ;; *) cp -L "$lib" "$root/usr/lib/" ;; esac
done

printf 'root::0:0:root:/root:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"
printf '#!/bin/sh\necho "gpve-guest: power button" > /dev/console\nsync\npoweroff -f\n' > "$root/etc/acpi/PWRF/00000080"
# What the guest agent calls for guest-shutdown.
printf '#!/bin/sh\necho "gpve-guest: shutdown $*" > /dev/console\nsync\ncase "$1" in -r) reboot -f ;; *) poweroff -f ;; esac\n' > "$root/sbin/shutdown"
chmod +x "$root/etc/acpi/PWRF/00000080" "$root/sbin/shutdown"
cp "$here/init" "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet -R 0:0 | zstd -q -12) > initrd.img

cmdline="console=tty0 console=ttyS0 quiet"
printf 'SERIAL 0\nDEFAULT l\nPROMPT 0\nTIMEOUT 0\nLABEL l\n KERNEL vmlinuz\n INITRD initrd.img\n APPEND %s\n' "$cmdline" > syslinux.cfg
truncate -s 32M disk.raw
mkfs.vfat -n GPVEGUEST -F 16 disk.raw > /dev/null
export MTOOLS_SKIP_CHECK=1
mcopy -i disk.raw "pkg/boot/vmlinuz-$release" ::/vmlinuz
mcopy -i disk.raw initrd.img syslinux.cfg ::/
syslinux --install disk.raw
qemu-img convert -c -f raw -O qcow2 disk.raw disk.qcow2
mv disk.qcow2 "$out/disk.qcow2"
echo "$stamp" > "$out/stamp"
