// Package task runs operations: everything of the system that takes time, may fail half-way, or must happen one after
// the other. An operation is an object in the store. It is committed together with what the caller changes, runs in the
// queue it names, journals how each step is undone before the step acts, and ends with one commit that holds its last
// changes and removes it. kill -9 at any point leaves an operation that the next start finishes, undoes or fails, as its
// [Handler] says; nothing is left over.
//
//	engine, err := task.New(store, task.Options{Node: "pve1", LogDir: "/var/log/gpve"})
//	engine.Register("imgalloc", task.Handler{
//		Recovery: task.Undo,
//		Undo:     map[string]task.UndoFunc{"volume": removeVolume},
//		Run: func(ctx context.Context, op *task.Op) error {
//			var p params
//			if err := op.Decode(&p); err != nil {
//				return err
//			}
//			if err := op.Step(ctx, "volume", p.Volume); err != nil { // from here on it will be removed if anything fails
//				return err
//			}
//			return create(ctx, p.Volume)
//		},
//	})
//	go engine.Run(ctx)
//	id, err := engine.Submit(ctx, task.Spec{Type: "imgalloc", User: "root@pam", Queue: "storage/local", Params: p})
//
// # Cost
//
// An operation costs two commits of the store: the submission, and the end (the handler's own if it calls [Op.Finish],
// else the engine's). Each Step, Save, Retract and Commit costs one more; Step and Save take changes of the handler's
// along. An operation that fails with something to undo costs one more before the undoing, a cancelled one the
// cancellation. Process ids are reserved 1024 at a time. With boltstore, operations that run side by side share commits.
//
// # What is stored
//
// /op/NODE/UPID holds an operation as it was submitted, with /journal and /cancel below it; all three vanish when it
// ends. /task/NODE/SEQUENCE is the archive of finished ones, without the hidden. Logs are files, LogDir/tasks/X/UPID
// with X the last digit of the start time in hexadecimal, as on Proxmox VE; their last line tells the outcome.
//
// The engine is safe for concurrent use and needs no privileges but for its log folder.
package task
