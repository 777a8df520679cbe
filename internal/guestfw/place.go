package guestfw

import (
	"context"
	"errors"
	"strconv"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Where the texts lie in the store.
const (
	folder     = "/pve/firewall/"
	clusterKey = folder + "cluster.fw"
)

// GuestKey is the store key of a guest's firewall file.
func GuestKey(id int) string { return folder + strconv.Itoa(id) + ".fw" }

// nodeFolder is where the files of a node lie.
func nodeFolder(node string) string { return "/pve/nodes/" + node + "/" }

// hostKey is the store key of a node's firewall file.
func hostKey(node string) string { return nodeFolder(node) + "host.fw" }

// place is one firewall file.
type place struct {
	level firewall.Level
	key   string
	guest int // whose file it is, where it is a guest's
}

func clusterPlace() place       { return place{level: firewall.Cluster, key: clusterKey} }
func guestPlace(id int) place   { return place{level: firewall.Guest, key: GuestKey(id), guest: id} }
func (s *Service) host() place  { return place{level: firewall.Host, key: hostKey(s.o.Node)} }
func guestOf(vmid int64) place  { return guestPlace(int(vmid)) }
func (p place) rules() ruleList { return ruleList{place: p} }

// DropParts are the parts of a transaction that removes a guest: its firewall file goes with it.
func DropParts(id int) []cluster.Part { return []cluster.Part{cluster.Delete(GuestKey(id))} }

// CloneParts are the parts of a transaction that makes a guest as a copy of another: the copy has the same firewall. None if
// the other has no file. The error is the store's.
func CloneParts(ctx context.Context, store cluster.Store, from, to int) ([]cluster.Part, error) {
	kv, err := store.Get(ctx, GuestKey(from))
	if errors.Is(err, cluster.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []cluster.Part{cluster.Put(GuestKey(to), kv.Value)}, nil
}

// file is a firewall file as it was read. The configuration is shared: read only.
type file struct {
	rev    int64 // 0: there is none
	config *firewall.Config
	scope  *firewall.Scope // what its rules may name besides what is in it
}

// load reads a file and, for the names in it, that of the cluster.
func (s *Service) load(ctx context.Context, p place) (*file, error) {
	kv, err := s.get(ctx, clusterKey)
	if err != nil {
		return nil, err
	}
	top, err := s.parsed.parse(kv, clusterPlace(), nil)
	if err != nil {
		return nil, err
	}
	f := &file{rev: kv.ModRev, config: top.config, scope: &firewall.Scope{Cluster: top.config}}
	if p.key == clusterKey {
		return f, nil
	}
	if kv, err = s.get(ctx, p.key); err != nil {
		return nil, err
	}
	own, err := s.parsed.parse(kv, p, top)
	if err != nil {
		return nil, err
	}
	f.rev, f.config = kv.ModRev, own.config
	return f, nil
}

// get reads a key; one that is not there is empty.
func (s *Service) get(ctx context.Context, key string) (cluster.KV, error) {
	kv, err := s.o.Store.Get(ctx, key)
	if errors.Is(err, cluster.ErrNotFound) {
		return cluster.KV{Key: key}, nil
	}
	return kv, err
}

// change edits a file: what edit makes of a copy is written if nobody has written the file in between, else edit is asked
// again. An empty file is removed. A guest's file is only written while the guest exists.
func (s *Service) change(ctx context.Context, p place, edit func(c *firewall.Config, scope *firewall.Scope) error) error {
	for range attempts {
		f, err := s.load(ctx, p)
		if err != nil {
			return err
		}
		c := f.config.Clone()
		scope := f.scope
		if p.key == clusterKey {
			scope = &firewall.Scope{Cluster: c}
		}
		if err := edit(c, scope); err != nil {
			return err
		}
		text, err := c.Text()
		if err != nil {
			return &call.Error{Status: 500, Text: err.Error(), Err: err}
		}
		if len(text) > cluster.MaxValueSize {
			return call.Errorf("the firewall file would be larger than %d bytes", cluster.MaxValueSize)
		}
		conds := []cluster.Cond{cluster.ModRev(p.key, f.rev)}
		if p.level == firewall.Guest {
			conds = append(conds, cluster.Exists(inventory.Key(p.guest)))
		}
		write := cluster.Put(p.key, []byte(text))
		if text == "" {
			write = cluster.Delete(p.key)
		}
		_, err = s.o.Store.Txn(ctx, cluster.If(conds...), write)
		switch {
		case err == nil:
			return nil
		case p.level == firewall.Guest && cluster.ConflictOn(err, inventory.Key(p.guest)):
			return call.Errorf("Configuration file 'nodes/%s/qemu-server/%d.conf' does not exist", s.o.Node, p.guest)
		case !errors.Is(err, cluster.ErrConflict):
			return err
		}
	}
	return call.Errorf("the firewall configuration is being changed by others, try again")
}

// attempts is how often a change is begun anew when others write the same file.
const attempts = 50

// checkDigest refuses a change of something that is not as the caller has seen it.
func checkDigest(sent, have string) error {
	if sent != "" && sent != have {
		return call.Errorf("detected modified configuration - file changed by other user? Try again.")
	}
	return nil
}
