// Package boltstore is the cluster.Store of a single machine: one file (bbolt), one process at a time.
//
// A transaction is acknowledged when it is on the disk. Transactions that arrive while another is being written are
// written together by the next commit, so the number of commits, which [Stats] counts, depends on the load and not on a
// delay. The history that watches read is kept in memory and bounded: watches begin anew when the file is opened again
// (cluster.ErrCompacted).
//
//	s, err := boltstore.Open("/var/lib/gpve/state.db", nil)
//	if err != nil {
//		return err // cluster.ErrInUse, cluster.ErrNewerFormat
//	}
//	defer s.Close()
//
// A full disk fails the transaction with cluster.ErrNoSpace and leaves the store usable. If a failed commit cannot be
// told from a successful one, the store refuses everything further with cluster.ErrBroken until it is opened again. The
// file must not be on a network file system that does not honour flock and fsync.
package boltstore
