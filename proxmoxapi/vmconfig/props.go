package vmconfig

import (
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// optionTable is what GET …/config may answer: the options of a configuration with their types and formats.
var optionTable = sync.OnceValue(func() *pveconf.Property {
	return schema.Find("GET", "/nodes/{node}/qemu/{vmid}/config").Returns
})

func optionSchema(key string) (Option, bool) {
	p := optionTable().Property(key)
	if p == nil || key == "digest" {
		return Option{}, false
	}
	return Option{Type: OptionType(p.Type), Format: p.Format}, true
}

// checkFormat checks a string by a named format: a property string or a scalar rule.
func checkFormat(format, value string) error {
	if p, ok := schema.Formats().PropertyString(format); ok {
		_, err := pveconf.ParsePropertyString(value, p, schema.Formats())
		return err
	}
	return pveconf.CheckFormat(format, value)
}

// parseProps reads a property string of a named format. Booleans come as 1 and 0, aliases under their own key.
func parseProps(format, value string) (map[string]string, error) {
	return pveconf.ParsePropertyString(value, schema.Format(format), schema.Formats())
}

// printProps prints a property string of a named format. Keys that the format does not know are left out, and
// characters that would end a value are cut from it: what is printed never has more keys than were given.
func printProps(format string, props map[string]string) string {
	p := schema.Format(format)
	for key, value := range props {
		value = endsValue.Replace(value)
		if m := p.Property(key); value == "" || m == nil || m.Alias != "" {
			delete(props, key)
			continue
		}
		props[key] = value
	}
	text, err := pveconf.PrintPropertyString(props, p)
	if err != nil {
		return "" // not with what the loop has left
	}
	return text
}

// endsValue drops what would end a value or its line. It works on bytes: a value need not be valid UTF-8.
var endsValue = strings.NewReplacer(",", "", "\n", "", "\r", "", "\x00", "")
