// Package storagetest holds what every storage driver is tested with: [Run], the rules of [storage.Driver] and its
// capabilities as a suite; [RunFixed], the same for drivers that cannot make volumes; [Main], with which the suite kills a
// driver at each of its steps; [NewFaults], a wrapper that makes chosen calls fail, come late or hang; and [Hostile], images as an attacker would
// send them.
//
//	func TestMain(m *testing.M) {
//		storagetest.Main(m, func(pool string, step func()) (storage.Driver, error) { … })
//	}
//
//	func TestConformance(t *testing.T) {
//		need.Tool(t, "zfs")
//		storagetest.Run(t, storagetest.Config{
//			Type:    "zfspool",
//			New:     func(t *testing.T) storage.Driver { … },
//			Claims:  map[storage.Format]storagetest.Claims{storage.Raw: storagetest.Resize | storagetest.Snapshot | …},
//			Granule: 1 << 20,
//			Residue: func(t *testing.T, d storage.Driver) []string { … }, // what the tool lists, whatever the driver says
//			Backend: func(d storage.Driver) string { return … },
//		})
//	}
//
// A driver says what it claims for each format of images. What it does not claim, the suite requires to be out of reach or
// errors.ErrUnsupported, so nothing is skipped by not being there. Tests need root where owners of files change (internal/need).
package storagetest
