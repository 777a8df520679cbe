#!/bin/bash
# build.sh OUTDIR CACHEDIR: makes what the lab boots: OUTDIR/vmlinux, OUTDIR/initrd.gz and OUTDIR/root.img, an ext4 file system
# with Debian's kernel modules, ZFS among them, and the tools in the file packages beside this script. Needs root, mmdebstrap,
# apt-get, dpkg-deb, kmod, cpio, xz, e2fsprogs. Nothing is installed on the host: package lists and sources are folders of
# CACHEDIR, compilers live in a chroot that is thrown away. CACHEDIR keeps the ZFS modules of each kernel (minutes to compile).
set -euo pipefail
out=$(mkdir -p "${1:?folder for the image}" && cd "$1" && pwd)
cache=$(mkdir -p "${2:?folder for the ZFS modules}" && cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
suite=bookworm
# From where the host has its own packages, unless told otherwise.
from() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $1" 'Component: main' | head -n 1; }
mirror=${LAB_MIRROR:-$(from $suite)}
security=${LAB_SECURITY_MIRROR:-$(from $suite-security)}
[ -n "$mirror" ] && [ -n "$security" ] || { echo "lab: the host's package sources name no mirror of $suite; set LAB_MIRROR and LAB_SECURITY_MIRROR" >&2; exit 1; }
say() { printf 'lab: %s: %s\n' "$(date +%T)" "$*"; }

work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work"/{lists/partial,archives/partial,debs,kernel,root}
key=/usr/share/keyrings/debian-archive-keyring.gpg
for line in "$mirror $suite" "$mirror $suite-updates" "$security $suite-security"; do
	echo "deb [signed-by=$key] $line main contrib" # ZFS is in contrib
done > "$work/sources.list"
: > "$work/status"
apt=(-qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
	-o "Dir::Cache=$work" -o "Dir::State::status=$work/status" -o APT::Sandbox::User=root)
strap=(mmdebstrap --quiet --mode=root --variant=minbase --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*')

say "package lists of $mirror"
apt-get "${apt[@]}" -o APT::Update::Error-Mode=any update
image=$(apt-cache "${apt[@]}" depends linux-image-amd64 | awk '/Depends: linux-image-/ {print $2; exit}')
release=${image#linux-image-}
zfs=$(apt-cache "${apt[@]}" policy zfs-dkms | awk '/Candidate:/ {print $2}')
(cd "$work/debs" && apt-get "${apt[@]}" download "$image" zfs-dkms)

modules=$cache/zfs-$zfs-$release
if [ ! -d "$modules" ]; then
	say "ZFS $zfs for $release: compiling, some six CPU minutes"
	mkdir "$work/src" "$work/zfs"
	dpkg-deb -x "$work"/debs/zfs-dkms_*.deb "$work/src"
	version=$(basename "$work"/src/usr/src/zfs-* | sed 's/^zfs-//')
	"${strap[@]}" --format=null --include="dkms,libc6-dev,linux-headers-$release" \
		--customize-hook="cp -a '$work/src/usr/src/zfs-$version' \"\$1/usr/src/\"" \
		--customize-hook="chroot \"\$1\" dkms build -m zfs -v '$version' -k '$release' -j $(nproc) > '$work/zfs.log' 2>&1 || { tail -n 40 '$work/zfs.log' >&2; exit 1; }" \
		--customize-hook="cp \"\$1/var/lib/dkms/zfs/$version/$release/x86_64/module/\"*.ko '$work/zfs/'" \
		"$suite" - "$work/sources.list" > /dev/null
	mv "$work/zfs" "$modules"
fi

say "root file system"
"${strap[@]}" --include="$(sed 's/#.*//' "$here/packages" | xargs | tr ' ' ,)" "$suite" "$work/root.tar" "$work/sources.list"
tar -C "$work/root" -xf "$work/root.tar"
dpkg-deb -x "$work/debs/$image"_*.deb "$work/kernel"
lib=$work/root/lib/modules/$release
mkdir -p "$work/root/lib/modules"
cp -a "$work/kernel/lib/modules/$release" "$work/root/lib/modules/"
# Hardware that no virtual machine has.
rm -rf "$lib"/{build,source,kernel/sound} \
	"$lib"/kernel/drivers/{gpu,media,staging,infiniband,iio,hwmon,mmc,mtd,usb,input,isdn,comedi,bluetooth,platform,leds,thunderbolt,rtc} \
	"$lib"/kernel/drivers/net/{wireless,ethernet,can,wwan,usb} "$lib"/kernel/net/{bluetooth,mac80211,wireless,can,nfc,rds,sctp}
mkdir -p "$lib/updates"
cp "$modules"/*.ko "$lib/updates/"
depmod -b "$work/root" "$release"
install -m 755 "$here/init" "$work/root/sbin/lab-init"
truncate -s 2G "$work/root.img"
mkfs.ext4 -q -F -O '^has_journal' -d "$work/root" -L labroot "$work/root.img"

say "kernel and initial RAM disk"
first=$work/first
mkdir -p "$first"/{bin,mod,dev,proc,sys,ro,rw,new}
cp "$work/root/bin/busybox" "$first/bin/"
for m in virtio_pci virtio_blk virtio_console virtio_net virtio_rng ext4 overlay 9pnet_virtio 9p; do
	modprobe -d "$work/root" -S "$release" --show-depends "$m" | sed -n 's/^insmod //p'
done | awk '!seen[$1]++' | while read -r ko; do
	cp "$ko" "$first/mod/"
	basename "$ko" >> "$first/mod/order"
done
install -m 755 "$here/initrd" "$first/init"
(cd "$first" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1) > "$work/initrd.gz"

# The packed kernel takes three seconds to unpack itself under emulation; QEMU boots the ELF file inside it as it is.
# Offsets: the kernel's Documentation/arch/x86/boot.rst.
bz=$work/kernel/boot/vmlinuz-$release
field() { od -An -j "$1" -N "$2" -t "u$2" "$bz" | tr -d ' '; }
setup=$(field 497 1)
[ "$setup" != 0 ] || setup=4
tail -c "+$(((setup + 1) * 512 + $(field 584 4) + 1))" "$bz" | xz -dc --single-stream > "$work/vmlinux" 2> "$work/xz.log" || true
[ "$(od -An -N 4 -t x1 "$work/vmlinux" | tr -d ' ')" = 7f454c46 ] || { cat "$work/xz.log" >&2; echo "lab: $image holds no xz-packed ELF kernel" >&2; exit 1; }

mv "$work/root.img" "$work/initrd.gz" "$work/vmlinux" "$out/"
echo "$release zfs-$zfs" > "$out/versions"
say "done: $(du -sh "$out" | cut -f1), Linux $release, ZFS $zfs"
