package vm

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/task"
)

// opTest is an operation that waits for the test.
const opTest = "qmtest"

// registerTests adds the operations of tests to a node's engine.
func (n *node) registerTests() {
	n.gates = make(chan chan struct{}, 16)
	n.tasks.Register(opTest, task.Handler{Recovery: task.Fail, Run: func(ctx context.Context, op *task.Op) error {
		select {
		case <-<-n.gates:
		case <-ctx.Done():
		}
		return nil
	}})
}

// block keeps a VM's queue busy until the channel is closed.
func (s *site) block(id int) chan struct{} {
	s.t.Helper()
	gate := make(chan struct{})
	s.gates <- gate
	_, err := s.tasks.Submit(s.root(), spec(s.root(), opTest, id, nil))
	require.NoError(s.t, err)
	return gate
}
