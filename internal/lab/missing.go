package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// requirement is something that the lab needs of the host.
type requirement struct {
	what string // for the message, with the Debian package that brings it
	met  func() bool
}

func tool(name, pkg string) requirement {
	return requirement{fmt.Sprintf("%s in PATH (Debian: %s)", name, pkg), func() bool {
		_, err := exec.LookPath(name)
		return err == nil
	}}
}

var toRun = []requirement{
	{"Linux on amd64", func() bool { return runtime.GOOS == "linux" && runtime.GOARCH == "amd64" }},
	{"root", func() bool { return os.Geteuid() == 0 }},
	tool("qemu-system-x86_64", "qemu-system-x86"),
}

var toBuild = []requirement{
	tool("mmdebstrap", "mmdebstrap"), tool("apt-get", "apt"), tool("dpkg-deb", "dpkg"), tool("modprobe", "kmod"), tool("depmod", "kmod"),
	tool("cpio", "cpio"), tool("xz", "xz-utils"), tool("mkfs.ext4", "e2fsprogs"),
	{"/usr/share/keyrings/debian-archive-keyring.gpg (Debian: debian-archive-keyring)", func() bool {
		_, err := os.Stat("/usr/share/keyrings/debian-archive-keyring.gpg")
		return err == nil
	}},
}

// missing names everything that the host lacks, at once.
func missing(list []requirement) error {
	var lacks []string
	for _, r := range list {
		if !r.met() {
			lacks = append(lacks, r.what)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return errors.New("this machine cannot run the kernel lab; missing: " + strings.Join(lacks, "; "))
}
