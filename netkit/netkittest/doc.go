// Package netkittest helps tests that send real packets: hosts in throwaway network namespaces ([NewHost]), cables between
// them ([Host.Cable]), raw frames ([Host.Wire], [Host.Plug] for the guest's end of a tap) and pings ([Host.Ping],
// [Host.Pinger]).
//
//	a, b := netkittest.NewHost(t), netkittest.NewHost(t)
//	a.Cable("eth0", b, "eth0")
//	a.Apply(netkit.Link{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}})
//	b.Apply(netkit.Link{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24")}})
//	a.Ping(netip.MustParseAddr("192.0.2.2"))
//
// It is no mock of the kernel: it needs root, and says so by [need.Root]. Everything that it makes is gone when the test
// ends. A Host may be used by the goroutine of its test alone; wires and pingers are safe for concurrent use.
package netkittest
