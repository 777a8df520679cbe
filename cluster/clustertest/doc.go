// Package clustertest is the conformance suite of cluster.Store: what every store must do, the recipes above it, and
// concurrent histories that are checked for linearizability.
//
//	func TestStore(t *testing.T) {
//		clustertest.Run(t, clustertest.Config{New: func(t testing.TB) cluster.Store { return memstore.New() }})
//	}
//
// A rule for all stores begins its life here.
package clustertest
