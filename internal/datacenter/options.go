package datacenter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

const optionsKey = "/pve/datacenter.cfg"

// defaultMACPrefix is shown, and used, where the option is unset; it is never written.
const defaultMACPrefix = "BC:24:11"

// optionSchema is the schema of the options: the parameters of PUT /cluster/options.
func optionSchema(name string) *pveconf.Property {
	if name == "delete" {
		return nil
	}
	return schema.PutClusterOptions{}.Endpoint().Params.Property(name)
}

// options is the content of datacenter.cfg.
type options map[string]string

// parseOptions reads the file. Reading never fails: what makes no sense is dropped.
func parseOptions(text string) options {
	o := options{}
	var description strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			description.WriteString(pveconf.DecodeText(comment) + "\n")
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		p := optionSchema(key)
		if !ok || p == nil || key == "description" {
			continue
		}
		value = strings.TrimSpace(value)
		if _, errs := pveconf.Validate(value, p, schema.Formats()); len(errs) == 0 && value != "" {
			o[key] = value
		}
	}
	if description.Len() > 0 {
		o["description"] = description.String()
	}
	return o
}

// String writes the file: the description as comments, then the options by name.
func (o options) String() string {
	var b strings.Builder
	if text := o["description"]; text != "" {
		for line := range strings.Lines(text) {
			b.WriteString("#" + pveconf.EncodeText(strings.TrimRight(line, "\n")) + "\n")
		}
		b.WriteByte('\n')
	}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if key == "description" || key == "mac_prefix" && strings.EqualFold(o[key], defaultMACPrefix) {
			continue
		}
		b.WriteString(key + ": " + o.printed(key) + "\n")
	}
	return b.String()
}

// printed is the value as it is stored: sub-keys and tags sorted.
func (o options) printed(key string) string {
	p := optionSchema(key)
	if key == "registered-tags" {
		return strings.Join(tagList(o[key]), ";")
	}
	if format := schema.Format(p.Format); format != nil && format.Type == "object" {
		if sub, err := pveconf.ParsePropertyString(o[key], format, schema.Formats()); err == nil {
			if text, err := pveconf.PrintPropertyString(sub, format); err == nil {
				return text
			}
		}
	}
	return o[key]
}

func tagList(text string) []string {
	tags := pveconf.SplitList(text)
	slices.Sort(tags)
	return slices.Compact(tags)
}

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

// sub returns the sub-keys of an option that is a property string, empty if it is unset.
func (o options) sub(key string) map[string]string {
	p := optionSchema(key)
	if o[key] == "" || p == nil {
		return map[string]string{}
	}
	values, err := pveconf.ParsePropertyString(o[key], schema.Format(p.Format), schema.Formats())
	if err != nil {
		return map[string]string{}
	}
	return values
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
	for key, value := range o {
		if all || key == "console" || key == "tag-style" {
			out[key] = s.shown(o, key, value)
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
	}
	return out, nil
}

func (s *Service) shown(o options, key, value string) any {
	switch {
	case key == "console" && value == "applet":
		return "html5"
	case key == "registered-tags":
		return tagList(value)
	case key == "max_workers", key == "migration_unsecure":
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
		for key := range req.Params {
			if key != "delete" {
				o[key] = req.Params.String(key)
			}
		}
		for _, key := range pveconf.SplitList(req.Params.String("delete")) {
			delete(o, key)
		}
		if err := o.check(); err != nil {
			return nil, err
		}
		_, err = s.o.Store.Txn(ctx, cluster.If(cluster.ModRev(optionsKey, rev)), cluster.Put(optionsKey, []byte(o.String())))
		if !errors.Is(err, cluster.ErrConflict) {
			return nil, err
		}
	}
	return nil, call.Errorf("datacenter.cfg is being changed by others, try again")
}

func (o options) check() error {
	low, high := o.idRange()
	if low > high {
		return call.Errorf("lower (%d) <= upper (%d) boundary rule broken", low, high)
	}
	return nil
}

// idRange is from which id on, and below which, free ids are looked for.
func (o options) idRange() (low, high int) {
	low, high = 100, 1000000
	ids := o.sub("next-id")
	if n, err := strconv.Atoi(ids["lower"]); err == nil {
		low = n
	}
	if n, err := strconv.Atoi(ids["upper"]); err == nil {
		high = n
	}
	return low, high
}

// MACPrefix is the option mac_prefix, empty for the default.
func (s *Service) MACPrefix(ctx context.Context) string {
	o, _, err := s.load(ctx)
	if err != nil {
		return ""
	}
	return o["mac_prefix"]
}

// TagStyle is the option tag-style, as far as it concerns stored tags.
func (s *Service) TagStyle(ctx context.Context) vmconfig.TagStyle {
	o, _, err := s.load(ctx)
	if err != nil {
		return vmconfig.TagStyle{}
	}
	style := o.sub("tag-style")
	return vmconfig.TagStyle{CaseSensitive: style["case-sensitive"] == "1", ConfigOrder: style["ordering"] == "config"}
}

// Console is the option console, empty if unset.
func (s *Service) Console(ctx context.Context) string {
	o, _, err := s.load(ctx)
	if err != nil {
		return ""
	}
	return o["console"]
}

// GetClusterNextid answers GET /cluster/nextid with the first free id, or whether a given one is free. Nothing is reserved.
func (s *Service) GetClusterNextid(ctx context.Context, req *schema.GetClusterNextid) (string, error) {
	taken := map[int]string{}
	for _, g := range s.o.Inventory.Snapshot().Guests {
		taken[g.ID] = g.Node
	}
	if req.Vmid != nil {
		if _, ok := taken[int(*req.Vmid)]; ok {
			return "", call.Param("vmid", "VM %d already exists", *req.Vmid)
		}
		return fmt.Sprint(*req.Vmid), nil
	}
	o, _, err := s.load(ctx)
	if err != nil {
		return "", err
	}
	low, high := o.idRange()
	for id := low; id < high; id++ {
		if _, ok := taken[id]; !ok {
			return strconv.Itoa(id), nil
		}
	}
	return "", call.Errorf("unable to get any free VMID in range [%d, %d]", low, high)
}
