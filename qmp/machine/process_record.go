package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/proc"
)

// record is what a later life of the caller must know of a start. It is written twice: before the fork, without Process,
// and after it.
type record struct {
	Version int           `json:"version"`
	Name    string        `json:"name"`
	Binary  string        `json:"binary"`
	Started time.Time     `json:"started"`
	Cgroup  string        `json:"cgroup,omitempty"`
	OOMBase uint64        `json:"oom-base"` // kills in the group before the start
	Process proc.Identity `json:"process"`
}

const recordVersion = 1

func (r *record) write(p paths) error {
	r.Version = recordVersion
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("machine: record: %w", err)
	}
	if err := atomicfile.Write(p.record(), data, 0o600); err != nil {
		return fmt.Errorf("machine: record: %w", err)
	}
	return nil
}

// readRecord returns fs.ErrNotExist when nothing was ever started, or has ended in order.
func readRecord(p paths) (record, error) {
	data, err := os.ReadFile(p.record())
	if err != nil {
		return record{}, fmt.Errorf("machine: record: %w", err)
	}
	return parseRecord(data)
}

func parseRecord(data []byte) (record, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("machine: record: %w", err)
	}
	if r.Version != recordVersion {
		return record{}, fmt.Errorf("machine: record of version %d, not %d", r.Version, recordVersion)
	}
	return r, nil
}

// alive reports whether the recorded process is there.
func (r record) alive() bool {
	if r.Process.PID == 0 {
		return false
	}
	now, err := proc.Identify(r.Process.PID)
	return err == nil && now == r.Process
}
