// Package qemutest starts QEMUs for tests of the packages below qmp: by hand and without package machine, so that a test of
// the client says nothing but of the client. The QEMU is that of need.QEMU, so a whole suite can be run on another version.
package qemutest
