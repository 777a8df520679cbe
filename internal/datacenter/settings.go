package datacenter

import (
	"context"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

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

// MaxWorkers is the option max_workers, 0 if it is not set.
func (s *Service) MaxWorkers(ctx context.Context) int {
	o, _, err := s.load(ctx)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(o["max_workers"])
	if err != nil {
		return 0
	}
	return n
}

// Console is the option console, empty if unset.
func (s *Service) Console(ctx context.Context) string {
	o, _, err := s.load(ctx)
	if err != nil {
		return ""
	}
	return o["console"]
}
