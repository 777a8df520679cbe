package volume

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/cluster"
)

const datacenterKey = "/pve/datacenter.cfg"

// BWLimit returns the bandwidth limit in KiB/s, 0 for none, of an operation ("clone", "migration", "move", "restore") between
// storages: the lowest of what applies. override is what the caller asks for, nil if nothing; who may allocate on a storage, or
// change the datacenter, is then not bound by its limit.
func (s *Service) BWLimit(ctx context.Context, operation string, storages []string, override *int64) (int64, error) {
	cur, set := int64(0), false
	if override != nil {
		cur, set = *override, true
	}
	apply := func(limits map[string]int64) bool {
		v, ok := limits[operation]
		if !ok {
			v, ok = limits["default"]
		}
		if ok && (!set || cur == 0 || v < cur) {
			cur, set = v, true
		}
		return ok
	}
	fallback := len(storages) == 0
	if !fallback && override != nil && s.access.Has(ctx, "/storage", "Datastore.Allocate") {
		return cur, nil
	}
	seen := map[string]bool{}
	for _, id := range storages {
		if id == "" || seen[id] || override != nil && s.access.Has(ctx, storagePath(id), "Datastore.Allocate") {
			continue
		}
		seen[id] = true
		c, err := s.Storage(ctx, id)
		if err != nil {
			return 0, err
		}
		if !apply(parseLimits(c.Options["bwlimit"])) {
			fallback = true
		}
	}
	if !fallback || override != nil && s.access.Has(ctx, "/", "Sys.Modify") {
		return cur, nil
	}
	limits, err := s.datacenterLimits(ctx)
	apply(limits)
	return cur, err
}

func (s *Service) datacenterLimits(ctx context.Context) (map[string]int64, error) {
	kv, err := s.store.Get(ctx, datacenterKey)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil, nil
	}
	for line := range strings.Lines(string(kv.Value)) {
		if v, ok := strings.CutPrefix(line, "bwlimit:"); ok {
			return parseLimits(v), err
		}
	}
	return nil, err
}

// parseLimits reads "default=100,move=80". Fractions of a KiB are cut.
func parseLimits(text string) map[string]int64 {
	limits := map[string]int64{}
	for pair := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		key, value, _ := strings.Cut(pair, "=")
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && n >= 0 {
			limits[strings.TrimSpace(key)] = int64(n)
		}
	}
	return limits
}
