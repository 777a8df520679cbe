// Package jobs runs what takes QEMU a while and several messages: block jobs, internal and external snapshots, live
// migration, memory dumps, screenshots, ballooning and dirty-rate measurement. Each starts its work, follows QEMU's events and ends with a typed error.
//
//	job, err := jobs.Mirror(ctx, c, &qapi.BlockdevMirrorArgs{
//		JobID: new("move-disk0"), Device: "disk0", Target: "disk0-new", Sync: qapi.MirrorSyncModeFull,
//	})
//	if err != nil {
//		return err
//	}
//	if err := job.Complete(ctx); err != nil { // waits until both are equal, then the guest writes to the target
//		return errors.Join(err, job.Cancel(context.WithoutCancel(ctx)))
//	}
//
// It knows no storage and no machine: nodes, sockets and processes are the caller's.
//
// # Waiting
//
// Nothing polls: ends are told by QEMU's events. (The dirty rate has none, see there.) Progress is asked for, when the caller
// wants it. A context bounds the waiting of each call; what its end does to the work is said at each function.
//
// # Concurrency, privileges
//
// A Job is safe for concurrent use and owns one goroutine, which ends with the job, with the session, or by Close. The
// other functions work in the calling goroutine. Passing files needs a unix socket.
package jobs
