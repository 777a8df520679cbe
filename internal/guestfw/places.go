package guestfw

import (
	"context"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/netkit/firewall"
)

// places are the files of all guests and nodes.
func (s *Service) places(ctx context.Context) ([]place, error) {
	var out []place
	for _, prefix := range [...]string{folder, nodesFolder} {
		kvs, _, err := s.o.Store.List(ctx, prefix)
		if err != nil {
			return nil, err
		}
		for _, kv := range kvs {
			if p, ok := placeOf(kv.Key); ok && p.level != firewall.Cluster {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

const nodesFolder = "/pve/nodes/"

// placeOf tells what a key of the store holds, if it is a firewall file.
func placeOf(key string) (place, bool) {
	if key == clusterKey {
		return clusterPlace(), true
	}
	if name, ok := strings.CutPrefix(key, folder); ok {
		id, err := strconv.Atoi(strings.TrimSuffix(name, ".fw"))
		p := guestPlace(id)
		return p, err == nil && id > 0 && p.key == key
	}
	name, ok := strings.CutPrefix(key, nodesFolder)
	if !ok {
		return place{}, false
	}
	node, ok := strings.CutSuffix(name, "/host.fw")
	return place{level: firewall.Host, key: key}, ok && node != "" && !strings.Contains(node, "/")
}
