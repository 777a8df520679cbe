package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/inventory"
)

// ErrRenamed is a state whose node has another name than the configuration says.
var ErrRenamed = errors.New("agent.nodeName is another than the state's")

// nodeFile holds the name of the node whose state it lies beside.
func nodeFile(dir string) string { return filepath.Join(statePath(dir), "node") }

// claimNode makes sure that the state is this node's. Guests, tasks and storages are found by the node's name: under another
// one they would be there, and belong to nobody, while their QEMUs run. The name of a state without guests may change, and
// adopt lets any state change hands.
func claimNode(ctx context.Context, store cluster.Store, dir, name string, adopt bool) error {
	old, err := os.ReadFile(nodeFile(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if string(bytes.TrimSpace(old)) == name {
			return nil
		}
	}
	if !adopt {
		owner, err := otherOwner(ctx, store, name)
		if err != nil {
			return err
		}
		if owner != "" {
			return fmt.Errorf("%w: the guests in %s belong to the node %q, not to %q: set agent.nodeName back, or start once with --adopt-node "+
				"if they have been moved on purpose", ErrRenamed, dir, owner, name)
		}
	}
	return atomicfile.Write(nodeFile(dir), []byte(name+"\n"), 0o600)
}

// otherOwner names a node that owns guests in the state while this one owns none; nothing if there is none.
func otherOwner(ctx context.Context, store cluster.Store, name string) (string, error) {
	kvs, _, err := store.List(ctx, inventory.Prefix)
	if err != nil {
		return "", err
	}
	other := ""
	for _, kv := range kvs {
		r, err := inventory.Decode(kv.Value)
		switch {
		case err != nil:
			return "", err
		case r.Node == name:
			return "", nil
		}
		other = r.Node
	}
	return other, nil
}
