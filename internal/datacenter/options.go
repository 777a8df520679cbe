package datacenter

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const optionsKey = "/pve/datacenter.cfg"

// load reads the options and the revision that they were read at, 0 if there are none yet.
func (s *Service) load(ctx context.Context) (options, int64, error) {
	kv, err := s.o.Store.Get(ctx, optionsKey)
	if errors.Is(err, cluster.ErrNotFound) {
		return options{}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return parseOptions(string(kv.Value)), kv.ModRev, nil
}

// asObjects are the options that replies show as objects.
var asObjects = []string{
	"crs", "migration", "replication", "next-id", "ha", "notify", "u2f", "webauthn", "tag-style", "user-tag-access",
}

// GetClusterOptions answers GET /cluster/options: all options for auditors, for others those that a user interface needs.
func (s *Service) GetClusterOptions(ctx context.Context, _ *schema.GetClusterOptions) (map[string]any, error) {
	o, _, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	all := s.o.Access.Can(ctx, "/", "Sys.Audit")
	out := map[string]any{}
	for key := range o {
		if all || key == "console" || key == "tag-style" {
			out[key] = o.shown(key)
		}
	}
	tags, err := s.allowedTags(ctx, o)
	if err != nil {
		return nil, err
	}
	out["allowed-tags"] = tags
	if all {
		if _, ok := out["mac_prefix"]; !ok {
			out["mac_prefix"] = defaultMACPrefix
		}
		if _, ok := out["description"]; !ok {
			out["description"] = ""
		}
		if migration, ok := out["migration"]; ok && out["replication"] == nil {
			out["replication"] = migration // which is what replication then uses
		}
	}
	return out, nil
}

// shown is the value of an option in replies.
func (o options) shown(key string) any {
	value := o[key]
	switch {
	case key == "registered-tags":
		return tagList(value)
	case key == "max_workers":
		if n, err := strconv.Atoi(value); err == nil {
			return n
		}
	case slices.Contains(asObjects, key):
		object := map[string]any{}
		format := schema.Format(optionSchema(key).Format)
		for k, v := range o.sub(key) {
			object[k] = typed(format.Property(k), v)
			if k == "user-allow-list" {
				object[k] = tagList(v)
			}
		}
		return object
	}
	return value
}

// typed prints a sub-key as the number that it is declared to be.
func typed(p *pveconf.Property, v string) any {
	if p != nil && (p.Type == "integer" || p.Type == "boolean") {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n
		}
	}
	return v
}

// allowedTags are the tags that the caller may give to guests.
func (s *Service) allowedTags(ctx context.Context, o options) ([]string, error) {
	viewer, err := s.o.Access.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	admin := viewer.Can("/", "Sys.Modify")
	rule := o.sub("user-tag-access")
	registered := tagList(o["registered-tags"])
	tags := []string{}
	if rule["user-allow"] != "none" || admin {
		tags = append(tags, tagList(rule["user-allow-list"])...)
	}
	free := rule["user-allow"] == "" || rule["user-allow"] == "free" || rule["user-allow"] == "existing"
	if free || admin {
		for _, g := range s.o.Inventory.Snapshot().Guests {
			if admin || viewer.Can("/vms/"+strconv.Itoa(g.ID), "VM.Audit") {
				tags = append(tags, pveconf.SplitList(g.Tags)...)
			}
		}
	}
	if admin {
		tags = append(tags, registered...)
	} else {
		tags = slices.DeleteFunc(tags, func(t string) bool { return slices.Contains(registered, t) })
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

// PutClusterOptions answers PUT /cluster/options: given values replace, named ones are deleted.
func (s *Service) PutClusterOptions(ctx context.Context, req *schema.PutClusterOptions) (any, error) {
	for range 10 {
		o, rev, err := s.load(ctx)
		if err != nil {
			return nil, err
		}
		sent := map[string]bool{}
		for key := range req.Params {
			if key != "delete" {
				o[key], sent[key] = req.Params.String(key), true
			}
		}
		o.modernise()
		for _, key := range pveconf.SplitList(req.Params.String("delete")) {
			delete(o, key)
		}
		if err := o.check(); err != nil {
			return nil, err
		}
		_, err = s.o.Store.Txn(ctx, cluster.If(cluster.ModRev(optionsKey, rev)), cluster.Put(optionsKey, []byte(o.text(sent))))
		if !errors.Is(err, cluster.ErrConflict) {
			return nil, err
		}
	}
	return nil, call.Errorf("datacenter.cfg is being changed by others, try again")
}
