// Package cluster is the state of the system: an ordered map of keys with one global revision, and what can be built on
// nothing else. [Store] has four operations, Get, List, Txn and Watch; [Grant], [Lock], [Election] and [Collection] are
// recipes above them that work the same on every store.
//
// Every write is guarded. A transaction carries the conditions under which it may happen, among them the [Lease.Guard]
// of a lock, since a holder that was paused cannot know that it has lost it:
//
//	lease, err := cluster.Lock(ctx, store, cluster.LeaseSpec{Name: "balancer", TTL: 10 * time.Second})
//	if err != nil {
//		return err
//	}
//	defer lease.Release(ctx)
//	_, err = store.Txn(ctx, cluster.If(lease.Guard(), cluster.ModRev("/vm/100", seen)), cluster.Put("/vm/100", text))
//	if conflict, ok := errors.AsType[*cluster.ConflictError](err); ok {
//		log.Info("somebody was faster", "condition", conflict.Cond)
//	}
//
// What it is not: a database with queries, a message queue, or a place for large values. A store holds what describes
// the system (texts of a few KiB), all keys of which may be listed and held in memory by those who watch.
//
// Stores are in boltstore (one machine, a file) and memstore (tests, simulation); clustertest is the suite that each passes.
// Everything here is safe for concurrent use and needs no privileges. Values passed in are copied, values returned
// are the caller's.
package cluster
