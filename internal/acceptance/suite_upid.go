package main

import (
	"encoding/json"
	"fmt"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// upidSuites answers the suite on the names and outcomes of tasks.
func upidSuites() map[string]suiteFunc {
	return map[string]suiteFunc{"common.upid": upidCase}
}

func upidCase(op string, input json.RawMessage) (any, error) {
	var in struct {
		UPID string `json:"upid"`
		Log  string `json:"log"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	switch op {
	case "upid":
		u, err := upid.Parse(in.UPID)
		if err != nil {
			return nil, err
		}
		return map[string]any{
			"node": u.Node, "pid": u.PID, "pstart": u.PStart, "starttime": u.Start,
			"type": u.Type, "id": u.ID, "user": u.User,
		}, nil
	case "task_status":
		return map[string]string{"status": task.StatusFromLog(in.Log)}, nil
	default:
		return nil, fmt.Errorf("unknown operation %q", op)
	}
}
