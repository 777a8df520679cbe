package task

import (
	"context"
	"encoding/json"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// Recovery is what a restart does with an operation that had not ended.
type Recovery int

// The ways to recover. There is no default: each handler has to think about it.
const (
	// Resume runs it again, with its journal and what it saved. Run must find out what is done already.
	Resume Recovery = iota + 1
	// Undo undoes its steps and ends it with ErrInterrupted. One without a step has done nothing, since a step is
	// journaled before it acts, and is run.
	Undo
	// Fail ends it with ErrInterrupted (and undoes steps, if there are any). For what cannot outlive the daemon, such as
	// consoles, and for what must not happen twice, even if it had only been waiting.
	Fail
)

// Handler is what a type of operation does.
type Handler struct {
	// Run does the work. Its context ends when the operation is cancelled or the daemon ends, with ErrCancelled or
	// ErrShutdown as the cause, and carries the operation's user as the caller (call.From). An error undoes the journal and
	// is the outcome; so is a panic. After the daemon's end an error only means that Run has stopped.
	Run func(ctx context.Context, op *Op) error
	// Recovery is required.
	Recovery Recovery
	// Undo holds the undo of each kind of step.
	Undo map[string]UndoFunc
}

// UndoFunc undoes one step, given the data that was journaled. It must be idempotent and accept that the step never
// happened, or only half: it may run more than once, also in another process. An error is logged, and the step tried
// once more after all others.
type UndoFunc func(ctx context.Context, op *Op, data json.RawMessage) error

// Spec is an operation to submit.
type Spec struct {
	// Type names the handler, ID what the operation is about (a VMID), User who wants it (user@realm or a token). They
	// are part of the UPID: no blank, ':' or '/'.
	Type, ID, User string
	// Queue names the queue: operations of one queue run one at a time, in the order of their submission. Empty: none.
	Queue string
	// Params is encoded as JSON, for Op.Decode.
	Params any
	// Undo undoes the parts that are committed with the submission, if the operation fails. They are the first entries of its journal.
	Undo []StepSpec
	// Hidden operations have no log and appear in no list: synchronous methods of the API.
	Hidden bool
	// StartWithin makes SubmitWait withdraw an operation that has not begun by then. 0: it waits for its context.
	StartWithin time.Duration
}

// StepSpec is a step of the journal, before encoding.
type StepSpec struct {
	Kind string
	Data any
}

// Result is what an operation handed back with SetResult.
type Result struct {
	UPID upid.UPID
	Data json.RawMessage // nil if it set none
}

// Decode reads the data into v.
func (r Result) Decode(v any) error { return json.Unmarshal(r.Data, v) }

// Status is the state of an operation.
type Status struct {
	UPID     upid.UPID
	Running  bool      // also while it waits in its queue
	Position int       // operations before it in its queue; 0 when it runs
	End      time.Time // zero while running
	Exit     string    // "OK", "WARNINGS: n" or the error's text; empty while running
	Err      error     // the error itself, if it ended in this process

	Progress     float64 // 0…1, while running
	ProgressText string
}
