package vm

import (
	"context"
	"errors"
	"strconv"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/guestfw"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// VM is a virtual machine as read from the store. It belongs to whoever read it.
type VM struct {
	ID     int
	Node   string
	Rev    int64 // revision that the configuration was read at; 0 when it is not stored yet
	Config *vmconfig.Config

	doomed  []string     // volumes to free once Config is stored
	update  *updateState // saved with Config by an update of a running VM
	resumed bool         // by an operation that goes on after a restart: what it plugs may be there already
}

// Repository reads and writes the configurations of VMs.
type Repository struct {
	store cluster.Store
	node  string
}

// Load reads a VM of this node. One that does not exist, or is another node's, is the call error that clients look for; the
// former is cluster.ErrNotFound, too.
func (r *Repository) Load(ctx context.Context, id int) (*VM, error) {
	kv, err := r.store.Get(ctx, inventory.Key(id))
	if errors.Is(err, cluster.ErrNotFound) {
		return nil, &call.Error{Status: 500, Text: r.missing(id).Error(), Err: err}
	}
	if err != nil {
		return nil, err
	}
	rec, err := inventory.Decode(kv.Value)
	if err != nil {
		return nil, err
	}
	if rec.Node != r.node {
		return nil, r.missing(id)
	}
	cfg, _, err := vmconfig.Parse(rec.Config, vmconfig.ParseOptions{VMID: id})
	if err != nil {
		return nil, err
	}
	return &VM{ID: id, Node: rec.Node, Rev: kv.ModRev, Config: cfg}, nil
}

func (r *Repository) missing(id int) error {
	return call.Errorf("Configuration file 'nodes/%s/qemu-server/%d.conf' does not exist", r.node, id)
}

// notFound is how the methods say it that first ask whether the VM runs.
func (r *Repository) notFound(id int) error {
	return call.Errorf("unable to find configuration file for VM %d on node '%s'", id, r.node)
}

// Write are the parts of a transaction that stores the VM's configuration, if nobody has changed it since it was read. They
// also bring the configuration into its written form. A value that cannot be written is a call error with its option.
func (v *VM) Write() ([]cluster.Part, error) {
	text, err := v.Config.Encode()
	if err != nil {
		return nil, publicError(err)
	}
	return v.write(text), nil
}

// Parts is Write for a configuration whose values were read or are the program's own: one that cannot be written is left out.
func (v *VM) Parts() []cluster.Part { return v.write(v.Config.String()) }

func (v *VM) write(text string) []cluster.Part {
	return []cluster.Part{
		cluster.If(cluster.ModRev(inventory.Key(v.ID), v.Rev)),
		cluster.Put(inventory.Key(v.ID), inventory.Encode(v.Node, text)),
	}
}

// Remove are the parts of a transaction that deletes the VM's configuration and its firewall's, under the same condition.
func (v *VM) Remove() []cluster.Part {
	return append(guestfw.DropParts(v.ID),
		cluster.If(cluster.ModRev(inventory.Key(v.ID), v.Rev)),
		cluster.Delete(inventory.Key(v.ID)),
	)
}

// queue names the queue of a VM's operations.
func queue(id int) string { return "vm/" + strconv.Itoa(id) }
