package main

import (
	"fmt"
	"go/token"
	"strings"
)

// initialisms are words that Go writes in one case.
var initialisms = map[string]string{
	"acpi": "ACPI", "api": "API", "cpu": "CPU", "cpus": "CPUs", "cxl": "CXL", "dns": "DNS", "fd": "FD", "fds": "FDs",
	"fdset": "FDSet", "fdsets": "FDSets", "ftp": "FTP", "gl": "GL", "hmat": "HMAT", "http": "HTTP", "https": "HTTPS",
	"id": "ID", "io": "IO", "iops": "IOPS", "ip": "IP", "ipv4": "IPv4", "ipv6": "IPv6", "irq": "IRQ", "json": "JSON",
	"kvm": "KVM", "mac": "MAC", "mtu": "MTU", "nbd": "NBD", "nic": "NIC", "numa": "NUMA", "oob": "OOB", "pci": "PCI",
	"pid": "PID", "qapi": "QAPI", "qemu": "QEMU", "qmp": "QMP", "qom": "QOM", "ram": "RAM", "rbd": "RBD", "rdma": "RDMA", "sev": "SEV",
	"sgx": "SGX", "ssh": "SSH", "tcp": "TCP", "tls": "TLS", "tpm": "TPM", "udp": "UDP", "uri": "URI", "url": "URL",
	"usb": "USB", "uuid": "UUID", "vcpu": "VCPU", "vcpus": "VCPUs", "vm": "VM", "vnc": "VNC", "xen": "Xen",
}

// goName turns a name of the schema into an exported identifier, or a part of one: node-name is NodeName, fdset-id is
// FDSetID, BLOCK_JOB_READY is BlockJobReady, x86_64 is X86_64.
func goName(name string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("-_.", r) }) {
		if word == strings.ToUpper(word) {
			word = strings.ToLower(word)
		}
		if s := b.String(); s != "" && isDigit(s[len(s)-1]) && isDigit(word[0]) {
			b.WriteByte('_') // x86_64
		}
		if known, ok := initialisms[word]; ok {
			b.WriteString(known)
			continue
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// paramName turns a name of the schema into a parameter's.
func paramName(name string) string {
	first, rest, _ := strings.Cut(strings.ReplaceAll(name, "_", "-"), "-")
	s := strings.ToLower(first) + goName(rest)
	if token.IsKeyword(s) || s == "c" || s == "ctx" || s == "err" || s == "out" {
		return s + "Arg"
	}
	return s
}

// identifiers notices when two things would get the same name.
type identifiers map[string]string

func (i identifiers) take(name, what string) error {
	if before, ok := i[name]; ok {
		return fmt.Errorf("%s and %s would both be %s", before, what, name)
	}
	i[name] = what
	return nil
}
