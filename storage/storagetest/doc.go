// Package storagetest holds what every storage driver is tested with: [Run], the rules of [storage.Driver] and its
// capabilities as a suite; [Faulty], a wrapper that makes chosen calls fail; and [Hostile], images as an attacker would send them.
//
//	func TestDriver(t *testing.T) {
//		need.Tool(t, "qemu-img")
//		storagetest.Run(t, storagetest.Config{New: func(t *testing.T) storage.Driver { … }})
//	}
package storagetest
