package task_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func TestAPIIsTheRoomOfTasks(t *testing.T) {
	r := proxmoxapi.NewRegistry()
	proxmoxapi.RegisterTasks(r, task.NewAPI(start(t, nil, nil).Engine, grants{}))
	for _, m := range [][2]string{
		{"GET", "/nodes/{node}/tasks"}, {"GET", "/nodes/{node}/tasks/{upid}"}, {"DELETE", "/nodes/{node}/tasks/{upid}"},
		{"GET", "/nodes/{node}/tasks/{upid}/log"}, {"GET", "/nodes/{node}/tasks/{upid}/status"}, {"GET", "/cluster/tasks"},
	} {
		e := schema.Find(m[0], m[1])
		require.NotNil(t, e, m)
		require.True(t, r.Handles(e), m)
	}
}
