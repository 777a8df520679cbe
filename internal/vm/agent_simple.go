package vm

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/qmp/qga"
)

// agentCommand is a command of the agent without arguments, whose answer is passed on as it is.
type agentCommand struct {
	name  string        // of the agent's command, see qga/qapi-schema.json
	limit time.Duration // 0: agentTimeout
	mute  bool          // success is not answered: the guest is on its way down
}

// agentCommands are the simple commands by the last part of their path.
var agentCommands = map[string]agentCommand{
	"fsfreeze-freeze":        {name: "guest-fsfreeze-freeze", limit: freezeTimeout},
	"fsfreeze-status":        {name: "guest-fsfreeze-status"},
	"fsfreeze-thaw":          {name: "guest-fsfreeze-thaw", limit: thawTimeout},
	"fstrim":                 {name: "guest-fstrim", limit: slowTimeout},
	"get-fsinfo":             {name: "guest-get-fsinfo"},
	"get-host-name":          {name: "guest-get-host-name"},
	"get-memory-block-info":  {name: "guest-get-memory-block-info"},
	"get-memory-blocks":      {name: "guest-get-memory-blocks"},
	"get-osinfo":             {name: "guest-get-osinfo"},
	"get-time":               {name: "guest-get-time"},
	"get-timezone":           {name: "guest-get-timezone"},
	"get-users":              {name: "guest-get-users"},
	"get-vcpus":              {name: "guest-get-vcpus"},
	"info":                   {name: "guest-info"},
	"network-get-interfaces": {name: "guest-network-get-interfaces"},
	"ping":                   {name: "guest-ping"},
	"shutdown":               {name: "guest-shutdown", limit: slowTimeout, mute: true},
	"suspend-disk":           {name: "guest-suspend-disk", mute: true},
	"suspend-hybrid":         {name: "guest-suspend-hybrid", mute: true},
	"suspend-ram":            {name: "guest-suspend-ram", mute: true},
}

// agentOthers are the commands of the index that have methods of their own.
var agentOthers = []string{"exec", "exec-status", "file-read", "file-write", "set-user-password"}

// simple executes a simple command.
func (s *Service) simple(ctx context.Context, id int64, path string) (any, error) {
	c, ok := agentCommands[path]
	if !ok {
		return nil, call.Param("command", "unknown command '%s'", path)
	}
	limit := c.limit
	if limit == 0 {
		limit = agentTimeout
	}
	var out json.RawMessage
	err := s.withAgent(ctx, int(id), limit, func(ctx context.Context, a agent) error {
		switch {
		case path == "shutdown":
			return a.explain(c.name, a.Shutdown(ctx, qga.PowerDown))
		case c.mute:
			err := a.Client.Do(ctx, c.name, nil, nil)
			if errors.Is(err, qga.ErrNoReply) || errors.Is(err, qga.ErrClosed) {
				return nil // so does success look
			}
			return a.explain(c.name, err)
		}
		return a.Do(ctx, c.name, nil, &out)
	})
	if out == nil {
		out = json.RawMessage("{}")
	}
	return answer(out, err)
}

// GetNodesQemuAgent lists the commands below it.
func (s *Service) GetNodesQemuAgent(context.Context, *schema.GetNodesQemuAgent) (any, error) {
	names := slices.Concat(slices.Collect(maps.Keys(agentCommands)), agentOthers)
	slices.Sort(names)
	rows := make([]map[string]string, len(names))
	for i, name := range names {
		rows[i] = map[string]string{"name": name}
	}
	return rows, nil
}

// PostNodesQemuAgent executes the simple command that it names.
func (s *Service) PostNodesQemuAgent(ctx context.Context, req *schema.PostNodesQemuAgent) (any, error) {
	return s.simple(ctx, req.Vmid, req.Command)
}
