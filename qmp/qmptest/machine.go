package qmptest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/turtacn/go-proxmox/qmp"
)

// Machine is a peer that plays a small QEMU: it has a run state, raises the events of its changes, and quits. Handlers set
// by Handle come before its own.
type Machine struct {
	*Peer

	mu     sync.Mutex // guards status
	status string
}

// NewMachine returns a machine in the state "prelaunch", as after -S. It knows query-status, query-version,
// query-qmp-schema (about 220 KB), query-commands, cont, stop, migrate-pause (none runs), system_powerdown, system_reset, device_del (nothing is
// there), getfd, closefd and quit.
func NewMachine(t testing.TB, opts *Options) *Machine {
	m := &Machine{Peer: New(t, opts), status: "prelaunch"}
	m.Handle("query-status", func(*Request) (any, error) {
		s := m.Status()
		return map[string]any{"status": s, "running": s == "running", "singlestep": false}, nil
	})
	m.Handle("query-version", func(*Request) (any, error) {
		return map[string]any{"qemu": map[string]int{"major": 7, "minor": 2, "micro": 22}, "package": "test"}, nil
	})
	m.Handle("query-qmp-schema", func(*Request) (any, error) { return schema(), nil })
	m.Handle("query-commands", func(*Request) (any, error) { return m.commands(), nil })
	m.Handle("cont", func(*Request) (any, error) { return m.become("running", "RESUME") })
	m.Handle("stop", func(*Request) (any, error) { return m.become("paused", "STOP") })
	m.Handle("system_powerdown", func(*Request) (any, error) { m.Emit("POWERDOWN", nil); return nil, nil })
	m.Handle("system_reset", func(*Request) (any, error) {
		m.Emit("RESET", map[string]any{"guest": false, "reason": "host-qmp-system-reset"})
		return nil, nil
	})
	m.Handle("device_del", func(r *Request) (any, error) {
		var args struct{ ID string }
		if err := r.Decode(&args); err != nil || args.ID == "" {
			return nil, fmt.Errorf("Parameter 'id' is missing")
		}
		return nil, &qmp.Error{Class: "DeviceNotFound", Desc: "Device '" + args.ID + "' not found"}
	})
	m.Handle("getfd", func(r *Request) (any, error) {
		if r.TakeFile() == nil {
			return nil, fmt.Errorf("No file descriptor supplied via SCM_RIGHTS")
		}
		return nil, nil
	})
	m.Handle("migrate-pause", func(*Request) (any, error) { return nil, fmt.Errorf("migrate-pause is for a running migration only") })
	m.Handle("closefd", func(*Request) (any, error) { return nil, nil })
	m.Handle("quit", func(r *Request) (any, error) {
		m.Emit("SHUTDOWN", map[string]any{"guest": false, "reason": "host-qmp-quit"})
		m.Reply(r, nil, nil)
		m.HangUp()
		return nil, ErrNoReply
	})
	return m
}

// Status returns the run state. See qapi/run-state.json: RunState.
func (m *Machine) Status() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// ShutDown plays a guest that shuts itself down under -no-shutdown: the event comes and the machine stays.
func (m *Machine) ShutDown() {
	_, _ = m.become("shutdown", "")
	m.Emit("SHUTDOWN", map[string]any{"guest": true, "reason": "guest-shutdown"})
}

func (m *Machine) become(status, event string) (any, error) {
	m.mu.Lock()
	changed := m.status != status
	m.status = status
	m.mu.Unlock()
	if changed && event != "" {
		m.Emit(event, nil)
	}
	return nil, nil
}

func (m *Machine) commands() []map[string]string {
	m.Peer.mu.Lock()
	defer m.Peer.mu.Unlock()
	var list []map[string]string
	for name := range m.handlers {
		list = append(list, map[string]string{"name": name})
	}
	return list
}

// schema is as large as QEMU's own, and as flat.
func schema() []map[string]any {
	list := make([]map[string]any, 2000)
	for i := range list {
		list[i] = map[string]any{"name": fmt.Sprint(i), "meta-type": "object", "members": []any{}, "note": strings.Repeat("x", 50)}
	}
	return list
}
