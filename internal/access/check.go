package access

import (
	"context"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Viewer answers what one caller may do, on one state of user.cfg: what a list asks thousands of times. It is immutable.
type Viewer struct {
	eval   *usercfg.Evaluator
	authID string
	rev    int64
}

// Viewer returns the Viewer of the caller in ctx. Nobody (no login) may do nothing.
func (s *Service) Viewer(ctx context.Context) (Viewer, error) {
	return s.viewerOf(ctx, call.From(ctx).AuthID)
}

func (s *Service) viewerOf(ctx context.Context, authID string) (Viewer, error) {
	v, err := s.users.version(ctx)
	if err != nil {
		return Viewer{}, err
	}
	return Viewer{eval: v.value, authID: authID, rev: v.rev}, nil
}

// AuthID is the user or token that the viewer speaks of.
func (v Viewer) AuthID() string { return v.authID }

// Rev identifies the state of user.cfg: while it stays the same, so do all answers.
func (v Viewer) Rev() int64 { return v.rev }

// Held returns what the caller may do at a path, which need not be normalised; nothing at one that is malformed.
func (v Viewer) Held(path string) usercfg.Held {
	if v.authID == "" {
		return usercfg.Held{}
	}
	normal, ok := usercfg.NormalizePath(path)
	if !ok && v.authID != call.Root {
		return usercfg.Held{}
	}
	return v.eval.Held(v.authID, normal)
}

// Can reports whether all privileges are held at the path. An unknown privilege is held by nobody but root@pam.
func (v Viewer) Can(path string, privs ...string) bool { return v.missing(path, privs) == "" }

// CanAny reports whether one of the privileges is held at the path.
func (v Viewer) CanAny(path string, privs ...string) bool {
	if v.authID == call.Root {
		return true
	}
	held := v.Held(path).Privs
	for _, name := range privs {
		if p, ok := usercfg.Privilege(name); ok && held.Has(p) {
			return true
		}
	}
	return false
}

// missing returns the first privilege that is not held, "" if all are.
func (v Viewer) missing(path string, privs []string) string {
	if v.authID == call.Root {
		return ""
	}
	held := v.Held(path).Privs
	for _, name := range privs {
		if p, ok := usercfg.Privilege(name); !ok || !held.Has(p) {
			return name
		}
	}
	return ""
}

// Check returns nil if all privileges are held at the path, else Proxmox VE's refusal, which names the first missing one.
func (v Viewer) Check(path string, privs ...string) error {
	if v.authID == "" {
		return call.Forbidden("user != null")
	}
	if name := v.missing(path, privs); name != "" {
		return call.Forbidden(shown(path) + ", " + name)
	}
	return nil
}

// CheckAny returns nil if one of the privileges is held at the path, else a refusal that names them all.
func (v Viewer) CheckAny(path string, privs ...string) error {
	if v.authID == "" {
		return call.Forbidden("user != null")
	}
	if !v.CanAny(path, privs...) {
		return call.Forbidden(shown(path) + ", " + strings.Join(privs, "|"))
	}
	return nil
}

// shown is the path as refusals show it.
func shown(path string) string {
	if normal, ok := usercfg.NormalizePath(path); ok {
		return normal
	}
	return path
}

// modifyPrivs are the privileges of which one allows to change the list at a path.
func modifyPrivs(path string) []string {
	privs := []string{"Permissions.Modify"}
	for prefix, priv := range map[string]string{"/storage/": "Datastore.Allocate", "/vms/": "VM.Allocate", "/pool/": "Pool.Allocate"} {
		if len(path) > len(prefix) && strings.HasPrefix(path, prefix) {
			privs = append(privs, priv)
		}
	}
	return privs
}

// Check returns nil if the caller in ctx holds all privileges at the path. The error is a *call.Error with status 403, or
// that of the store.
func (s *Service) Check(ctx context.Context, path string, privs ...string) error {
	v, err := s.Viewer(ctx)
	if err != nil {
		return err
	}
	return v.Check(path, privs...)
}

// CheckAny returns nil if the caller in ctx holds one of the privileges at the path.
func (s *Service) CheckAny(ctx context.Context, path string, privs ...string) error {
	v, err := s.Viewer(ctx)
	if err != nil {
		return err
	}
	return v.CheckAny(path, privs...)
}

// Can reports whether the caller in ctx holds all privileges at the path; not if the store cannot tell.
func (s *Service) Can(ctx context.Context, path string, privs ...string) bool {
	return s.Check(ctx, path, privs...) == nil
}

// Has is [Service.Can] for one privilege.
func (s *Service) Has(ctx context.Context, path, priv string) bool { return s.Can(ctx, path, priv) }

// CheckVM checks privileges on a guest, which may also be held through a pool that it is in or about to be in: pool may
// be empty. The refusal speaks of the guest.
func (s *Service) CheckVM(ctx context.Context, vmid int, pool string, privs ...string) error {
	v, err := s.Viewer(ctx)
	if err != nil {
		return err
	}
	if pool != "" && v.authID != "" && v.Can("/pool/"+pool, privs...) {
		return nil
	}
	return v.Check("/vms/"+strconv.Itoa(vmid), privs...)
}

// CheckVMAny is [Service.CheckVM] for one of several privileges.
func (s *Service) CheckVMAny(ctx context.Context, vmid int, pool string, privs ...string) error {
	v, err := s.Viewer(ctx)
	if err != nil {
		return err
	}
	if pool != "" && v.authID != "" && v.CanAny("/pool/"+pool, privs...) {
		return nil
	}
	return v.CheckAny("/vms/"+strconv.Itoa(vmid), privs...)
}

// LocalZone is the zone of bridges that are in no SDN zone.
const LocalZone = "localnetwork"

// CheckBridge checks for one of the privileges on a bridge or vnet of an SDN zone, or on any of its VLANs that has a
// list of its own.
func (s *Service) CheckBridge(ctx context.Context, zone, bridge string, privs ...string) error {
	v, err := s.Viewer(ctx)
	if err != nil {
		return err
	}
	path := "/sdn/zones/" + zone + "/" + bridge
	refusal := v.CheckAny(path, privs...)
	if refusal == nil || v.authID == "" {
		return refusal
	}
	normal, ok := usercfg.NormalizePath(path)
	if !ok {
		return refusal
	}
	if n := v.eval.Config().ACL.Find(normal); n != nil {
		for vlan := range n.Children {
			if v.CanAny(normal+"/"+vlan, privs...) {
				return nil
			}
		}
	}
	return refusal
}
