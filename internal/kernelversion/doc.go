// Package kernelversion reads the version of the running kernel out of what /proc/version says.
//
//	v := kernelversion.Parse("Linux version 6.8.12-4-pve (…) …")
//	if v.AtLeast(6, 8) { … }
//
// It is pure and safe for concurrent use.
package kernelversion
