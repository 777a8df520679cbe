// Package tinyguest is a guest for tests and the demonstration: Debian's kernel with busybox and the QEMU guest agent on a
// disk of some 20 MB, made by build.sh. It takes its name and address from a NoCloud seed, answers the ACPI power button
// and says on its serial console when it is up.
package tinyguest
