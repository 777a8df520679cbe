package datacenter

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

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
	o.modernise()
	return o
}

// modernise turns old spellings into those that are written.
func (o options) modernise() {
	if unsecure, ok := o["migration_unsecure"]; ok {
		delete(o, "migration_unsecure")
		if o["migration"] == "" {
			o["migration"] = "type=secure"
			if on, _ := pveconf.ParseBool(unsecure); on {
				o["migration"] = "type=insecure"
			}
		}
	}
	if o["console"] == "applet" {
		o["console"] = "html5"
	}
}

// text writes the file: the description as comments, then the options by name. Values of sent are written as they are,
// all others in their canonical form.
func (o options) text(sent map[string]bool) string {
	var b strings.Builder
	if text := o["description"]; text != "" {
		for line := range strings.Lines(text) {
			b.WriteString("#" + pveconf.EncodeText(strings.TrimRight(line, "\n")) + "\n")
		}
		b.WriteByte('\n')
	}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		value := o[key]
		if key == "description" || key == "mac_prefix" && value == defaultMACPrefix {
			continue
		}
		if !sent[key] {
			value = o.canonical(key)
		}
		b.WriteString(key + ": " + value + "\n")
	}
	return b.String()
}

// canonical is a value with its sub-keys and tags sorted.
func (o options) canonical(key string) string {
	p := optionSchema(key)
	if key == "registered-tags" {
		return strings.Join(tagList(o[key]), ";")
	}
	if format := schema.Format(p.Format); format != nil && format.Type == "object" {
		if sub, err := pveconf.ParsePropertyString(o[key], format, schema.Formats()); err == nil {
			if list, ok := sub["user-allow-list"]; ok {
				sub["user-allow-list"] = strings.Join(tagList(list), ";")
			}
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

// check refuses what the schema lets pass.
func (o options) check() error {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if key != "description" && strings.ContainsAny(o[key], "\r\n") {
			return call.Param(key, "value contains a line feed") // it would be a line of its own
		}
	}
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
