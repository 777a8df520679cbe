package guestfw

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// textOption tells whether the value of an option is no number.
func textOption(key string) bool {
	switch key {
	case "log_ratelimit", "nf_conntrack_helpers", "smurf_log_level", "tcp_flags_log_level", "ips_queues", "layer2_protocols":
		return true
	}
	return strings.HasPrefix(key, "policy_") || strings.HasPrefix(key, "log_level_")
}

func (s *Service) getOptions(ctx context.Context, p place) (object, error) {
	f, err := s.load(ctx, p)
	if err != nil {
		return nil, err
	}
	out := object{"digest": firewall.Digest(f.config.Options)}
	for key, value := range f.config.Options {
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil || textOption(key):
			out[key] = value
		case key == "enable" && p.level == firewall.Cluster && n > 1 && !f.config.Enabled(s.now()):
			out[key] = 0 // the trial is over
		default:
			out[key] = n
		}
	}
	return out, nil
}

// putOptions takes options away, then sets others.
func (s *Service) putOptions(ctx context.Context, p place, req schema.Request) (any, error) {
	v, err := valuesOf(req)
	if err != nil {
		return nil, err
	}
	known := optionsOf(req.Endpoint())
	return nil, s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
		if err := checkDigest(v["digest"], firewall.Digest(c.Options)); err != nil {
			return err
		}
		for _, key := range pveconf.SplitList(v["delete"]) {
			if !slices.Contains(known, key) {
				return call.Param("delete", "no such option '%s'", key)
			}
			delete(c.Options, key)
		}
		for _, key := range known {
			value, given := v[key]
			if !given {
				continue
			}
			if n, err := strconv.ParseInt(value, 10, 64); key == "enable" && p.level == firewall.Cluster && err == nil && n > 1 {
				value = strconv.FormatInt(s.now().Unix(), 10) // a trial: it ends by itself unless it is confirmed
			}
			c.Options[key] = value
		}
		return nil
	})
}

// optionsOf are the options that a method sets.
func optionsOf(e *schema.Endpoint) []string {
	var keys []string
	for _, p := range e.Params.Properties {
		key := p.Name
		if key != "delete" && key != "digest" && !slices.Contains(e.PathParams, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (s *Service) now() time.Time { return s.o.Clock() }
