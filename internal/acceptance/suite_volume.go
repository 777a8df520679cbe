package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
)

func volumeSuites() map[string]suiteFunc {
	return map[string]suiteFunc{"storage.volume_access": volumeAccess, "storage.bwlimit": bandwidthLimit}
}

// volumeService runs fn with the storage room over the given files, and its context.
func volumeService(files map[string]string, acc func(cluster.Store) (volume.Access, error), user string, fn func(context.Context, *volume.Service) error) error {
	store := memstore.New()
	defer store.Close()
	ctx := call.With(context.Background(), call.Caller{AuthID: user})
	for _, key := range slices.Sorted(maps.Keys(files)) {
		if _, err := store.Txn(ctx, cluster.Put(key, []byte(files[key]))); err != nil {
			return err
		}
	}
	a, err := acc(store)
	if err != nil {
		return err
	}
	tasks, err := task.New(store, task.Options{Node: "localhost", LogDir: os.TempDir()})
	if err != nil {
		return err
	}
	reg, err := storage.NewRegistry()
	if err != nil {
		return err
	}
	s, err := volume.New(store, tasks, a, reg, &volume.Options{Node: "localhost"})
	if err != nil {
		return err
	}
	return fn(ctx, s)
}

func volumeAccess(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Storage string      `json:"storage_cfg"`
		Users   string      `json:"user_cfg"`
		User    string      `json:"user"`
		VMID    json.Number `json:"vmid"`
		Volume  string      `json:"volid"`
		Type    *string     `json:"vtype"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	vmid, _ := in.VMID.Int64()
	want := ""
	if in.Type != nil {
		want = *in.Type
	}
	allowed := false
	err := volumeService(map[string]string{volume.Key: in.Storage, "/pve/user.cfg": in.Users},
		func(st cluster.Store) (volume.Access, error) { return access.New(st, nil) }, in.User,
		func(ctx context.Context, s *volume.Service) error {
			allowed = s.CheckAccess(ctx, in.Volume, int(vmid), want) == nil
			return nil
		})
	return map[string]bool{"allowed": allowed}, err
}

// exactPrivs holds privileges at exactly the paths it names.
type exactPrivs struct {
	volume.Access
	all   bool
	paths map[string][]string
}

func (p exactPrivs) Has(_ context.Context, path, priv string) bool {
	return p.all || slices.Contains(p.paths[path], priv)
}

func bandwidthLimit(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Datacenter string          `json:"datacenter_cfg"`
		Storage    string          `json:"storage_cfg"`
		User       string          `json:"user"`
		Privs      json.RawMessage `json:"user_privs"`
		Operation  string          `json:"operation"`
		Storages   []*string       `json:"storages"`
		Override   *int64          `json:"override"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	privs := exactPrivs{all: strings.Trim(string(in.Privs), `"`) == "all"}
	if !privs.all {
		if err := json.Unmarshal(in.Privs, &privs.paths); err != nil {
			return nil, err
		}
	}
	var storages []string
	for _, id := range in.Storages {
		if id != nil {
			storages = append(storages, *id)
		}
	}
	var limit int64
	err := volumeService(map[string]string{volume.Key: in.Storage, "/pve/datacenter.cfg": in.Datacenter},
		func(cluster.Store) (volume.Access, error) { return privs, nil }, in.User,
		func(ctx context.Context, s *volume.Service) (err error) {
			limit, err = s.BWLimit(ctx, in.Operation, storages, in.Override)
			return err
		})
	return limit, err
}
