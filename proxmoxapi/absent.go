package proxmoxapi

import (
	"net/http"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// absent answers a reading method about something that the system does not have, as a node of Proxmox VE without any of it
// does. A registered function takes its place.
type absent func(node string, p schema.Params) (any, error)

// withoutFunction answers a method that nobody registered: what is absent, an index of child paths, else 501.
func (x *exchange) withoutFunction(e *schema.Endpoint, p schema.Params) error {
	if e.Method == http.MethodGet {
		if answer, ok := x.h.absent[e.Path]; ok {
			v, err := answer(x.h.opts.Node, p)
			if err != nil {
				return err
			}
			return x.answer(e, v)
		}
		if rows, ok := x.h.index[e]; ok {
			return x.answer(e, rows)
		}
	}
	return notImplemented(x.r.Method, x.rel)
}

// none is an empty list.
func none(string, schema.Params) (any, error) { return []any{}, nil }

// emptyLog is what PVE prints of a log without lines.
func emptyLog(string, schema.Params) (any, error) {
	return call.List{Rows: []object{{"n": 1, "t": "no content"}}, Total: 1}, nil
}

// value is a fixed answer.
func value(v any) absent {
	return func(string, schema.Params) (any, error) { return v, nil }
}

// missing is the refusal of an object that is not there. {name} in text stands for that parameter, {} for the node.
func missing(text string) absent {
	return func(node string, p schema.Params) (any, error) {
		return nil, call.Errorf("%s", fillIn(text, node, p))
	}
}

func fillIn(text, node string, p schema.Params) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		var name string
		name, text, _ = strings.Cut(rest, "}")
		if name == "" {
			b.WriteString(node)
		} else {
			b.WriteString(p.String(name))
		}
	}
}

type object = map[string]any

const emptyDigest = "da39a3ee5e6b4b0d3255bfef95601890afd80709" // SHA-1 of an empty configuration file

// absentAnswers is the list, by path below /api2/json. Not in it, though read-only, is what would be a wrong statement about
// things that do exist: guests without a backup job, metrics, reports.
func absentAnswers() map[string]absent {
	all := map[string]absent{}
	add := func(answer absent, paths ...string) {
		for _, path := range paths {
			all[path] = answer
		}
	}
	clusterAnswers(add)
	sdnAnswers(add)
	nodeAnswers(add)
	guestAnswers(add)
	return all
}

func clusterAnswers(add func(absent, ...string)) {
	add(value(nil), "/access/ticket")
	add(value(1), "/cluster/config/apiversion")
	add(none,
		"/cluster/acme/account", "/cluster/acme/challenge-schema", "/cluster/acme/directories", "/cluster/acme/plugins",
		"/cluster/backup", "/cluster/config/nodes", "/cluster/jobs/realm-sync", "/cluster/metrics/server", "/cluster/replication",
		"/cluster/firewall/aliases", "/cluster/firewall/groups", "/cluster/firewall/ipset", "/cluster/firewall/refs", "/cluster/firewall/rules",
		"/cluster/ha/groups", "/cluster/ha/resources", "/cluster/ha/rules",
		"/cluster/mapping/dir", "/cluster/mapping/pci", "/cluster/mapping/usb",
		"/cluster/notifications/endpoints/gotify", "/cluster/notifications/endpoints/sendmail", "/cluster/notifications/endpoints/smtp",
		"/cluster/notifications/endpoints/webhook", "/cluster/notifications/matchers", "/cluster/notifications/targets",
		"/cluster/notifications/matcher-fields", "/cluster/notifications/matcher-field-values",
		"/cluster/qemu/custom-cpu-models")
	add(value(object{"digest": emptyDigest}), "/cluster/firewall/options")
	add(value(object{}), "/cluster/config/qdevice", "/cluster/config/totem")
	add(func(string, schema.Params) (any, error) {
		return nil, call.Status(http.StatusFailedDependency, "node is not in a cluster, no join info available!")
	}, "/cluster/config/join")
	add(missing("ACME account config file '{name}' does not exist."), "/cluster/acme/account/{name}")
	add(missing("ACME plugin '{id}' not defined"), "/cluster/acme/plugins/{id}")
	add(missing("no such job '{id}'"), "/cluster/backup/{id}", "/cluster/backup/{id}/included_volumes", "/cluster/jobs/realm-sync/{id}")
	add(missing("no such replication job '{id}'"), "/cluster/replication/{id}")
	add(missing("status server entry '{id}' does not exist"), "/cluster/metrics/server/{id}")
	add(missing("no such alias '{name}'"), "/cluster/firewall/aliases/{name}")
	add(missing("no such security group '{group}'"), "/cluster/firewall/groups/{group}", "/cluster/firewall/groups/{group}/{pos}")
	add(missing("no such IPSet '{name}'"), "/cluster/firewall/ipset/{name}", "/cluster/firewall/ipset/{name}/{cidr}")
	add(missing("no rule at position {pos}"), "/cluster/firewall/rules/{pos}")
	add(missing("mapping '{id}' not found"), "/cluster/mapping/dir/{id}", "/cluster/mapping/pci/{id}", "/cluster/mapping/usb/{id}")
	add(missing("Custom cputype '{cputype}' not found"), "/cluster/qemu/custom-cpu-models/{cputype}")
	for _, kind := range []string{"gotify", "sendmail", "smtp", "webhook"} {
		add(missing("endpoint '{name}' not found"), "/cluster/notifications/endpoints/"+kind+"/{name}")
	}
	add(missing("matcher '{name}' not found"), "/cluster/notifications/matchers/{name}")
	add(missing("no such ha group '{group}'"), "/cluster/ha/groups/{group}")
	add(missing("no such ha rule '{rule}'"), "/cluster/ha/rules/{rule}")
	add(missingService, "/cluster/ha/resources/{sid}")
	add(func(node string, _ schema.Params) (any, error) {
		return []object{{"id": "quorum", "node": node, "quorate": 1, "status": "OK", "type": "quorum"}}, nil
	}, "/cluster/ha/status/current")
	add(func(node string, _ schema.Params) (any, error) {
		return object{"manager_status": object{}, "lrm_status": object{}, "quorum": object{"node": node, "quorate": "1"}}, nil
	}, "/cluster/ha/status/manager_status")
	add(noCeph, "/cluster/ceph/flags", "/cluster/ceph/flags/{flag}", "/cluster/ceph/metadata", "/cluster/ceph/status")
}

// missingService completes a bare number to the service that a VM of that id would be.
func missingService(_ string, p schema.Params) (any, error) {
	sid := p.String("sid")
	if !strings.Contains(sid, ":") {
		sid = "vm:" + sid
	}
	return nil, call.Errorf("no such resource '%s'", sid)
}

func noCeph(string, schema.Params) (any, error) {
	return nil, call.Errorf("binary not installed: /usr/bin/ceph-mon")
}

func sdnAnswers(add func(absent, ...string)) {
	add(none,
		"/cluster/sdn/controllers", "/cluster/sdn/dns", "/cluster/sdn/fabrics/fabric", "/cluster/sdn/fabrics/node",
		"/cluster/sdn/fabrics/node/{fabric_id}", "/cluster/sdn/ipams/{ipam}/status", "/cluster/sdn/prefix-lists",
		"/cluster/sdn/prefix-lists/{id}/entries", "/cluster/sdn/route-maps", "/cluster/sdn/route-maps/entries",
		"/cluster/sdn/route-maps/entries/{route-map-id}", "/cluster/sdn/vnets", "/cluster/sdn/vnets/{vnet}/subnets",
		"/cluster/sdn/vnets/{vnet}/firewall/rules", "/cluster/sdn/zones",
		"/nodes/{node}/sdn/fabrics/{fabric}/interfaces", "/nodes/{node}/sdn/fabrics/{fabric}/neighbors",
		"/nodes/{node}/sdn/fabrics/{fabric}/routes", "/nodes/{node}/sdn/vnets/{vnet}/mac-vrf",
		"/nodes/{node}/sdn/zones/{zone}/bridges", "/nodes/{node}/sdn/zones/{zone}/content", "/nodes/{node}/sdn/zones/{zone}/ip-vrf")
	// These two exist on every node without being configured.
	add(value([]object{{"ipam": "pve", "type": "pve"}}), "/cluster/sdn/ipams")
	add(value([]object{{"zone": "localnetwork", "status": "available"}}), "/nodes/{node}/sdn/zones")
	add(value(object{"fabrics": []any{}, "nodes": []any{}}), "/cluster/sdn/fabrics/all")
	for path, param := range map[string]string{
		"/cluster/sdn/controllers/{controller}": "{controller}", "/cluster/sdn/dns/{dns}": "{dns}", "/cluster/sdn/ipams/{ipam}": "{ipam}",
		"/cluster/sdn/vnets/{vnet}": "{vnet}", "/cluster/sdn/zones/{zone}": "{zone}", "/cluster/sdn/vnets/{vnet}/subnets/{subnet}": "{subnet}",
		"/cluster/sdn/fabrics/fabric/{id}": "{id}", "/cluster/sdn/fabrics/node/{fabric_id}/{node_id}": "{node_id}", "/cluster/sdn/prefix-lists/{id}": "{id}",
	} {
		add(missing("sdn '"+param+"' does not exist"), path)
	}
	add(missing("sdn '{id}' does not exist"), "/cluster/sdn/prefix-lists/{id}/entries/{url_seq}")
	add(missing("sdn '{route-map-id}' does not exist"), "/cluster/sdn/route-maps/entries/{route-map-id}/entry/{order}")
	add(value(object{"digest": emptyDigest}), "/cluster/sdn/vnets/{vnet}/firewall/options")
	add(missing("no rule at position {pos}"), "/cluster/sdn/vnets/{vnet}/firewall/rules/{pos}")
}

func nodeAnswers(add func(absent, ...string)) {
	add(none,
		"/nodes/{node}/aplinfo", "/nodes/{node}/apt/update", "/nodes/{node}/apt/versions", "/nodes/{node}/ceph/releases",
		"/nodes/{node}/certificates/info", "/nodes/{node}/disks/directory", "/nodes/{node}/disks/list", "/nodes/{node}/disks/lvmthin",
		"/nodes/{node}/disks/zfs", "/nodes/{node}/firewall/rules", "/nodes/{node}/hardware/pci", "/nodes/{node}/hardware/usb",
		"/nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev", "/nodes/{node}/lxc", "/nodes/{node}/replication")
	add(value(object{"children": []any{}, "leaf": 0}), "/nodes/{node}/disks/lvm")
	add(value(object{"digest": emptyDigest}), "/nodes/{node}/firewall/options")
	add(value(object{"digest": emptyDigest, "errors": []any{}, "files": []any{}, "infos": []any{}, "standard-repos": []any{}}),
		"/nodes/{node}/apt/repositories")
	add(value(object{}), "/nodes/{node}/vzdump/defaults")
	add(emptyLog, "/nodes/{node}/firewall/log")
	add(value(object{
		"status":  "notfound",
		"message": "There is no subscription key",
		"url":     "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
	}), "/nodes/{node}/subscription")
	add(missing("no rule at position {pos}"), "/nodes/{node}/firewall/rules/{pos}")
	add(missing("no such replication job '{id}'"), "/nodes/{node}/replication/{id}/log", "/nodes/{node}/replication/{id}/status")
	add(missing("zpool '{name}' does not exist"), "/nodes/{node}/disks/zfs/{name}")
	add(noCeph,
		"/nodes/{node}/ceph/cfg/db", "/nodes/{node}/ceph/cfg/raw", "/nodes/{node}/ceph/cfg/value", "/nodes/{node}/ceph/cmd-safety",
		"/nodes/{node}/ceph/crush", "/nodes/{node}/ceph/fs", "/nodes/{node}/ceph/log", "/nodes/{node}/ceph/mds", "/nodes/{node}/ceph/mgr",
		"/nodes/{node}/ceph/mon", "/nodes/{node}/ceph/osd", "/nodes/{node}/ceph/osd/{osdid}/lv-info", "/nodes/{node}/ceph/osd/{osdid}/metadata",
		"/nodes/{node}/ceph/pool", "/nodes/{node}/ceph/pool/{name}/status", "/nodes/{node}/ceph/rules", "/nodes/{node}/ceph/status")
}

func guestAnswers(add func(absent, ...string)) {
	noContainer := missing("Configuration file 'nodes/{}/lxc/{vmid}.conf' does not exist")
	for _, path := range []string{
		"config", "feature", "interfaces", "migrate", "pending", "rrd", "rrddata", "snapshot", "snapshot/{snapname}/config", "status/current",
		"firewall/aliases", "firewall/aliases/{name}", "firewall/ipset", "firewall/ipset/{name}", "firewall/ipset/{name}/{cidr}", "firewall/log",
		"firewall/options", "firewall/refs", "firewall/rules", "firewall/rules/{pos}",
	} {
		add(noContainer, "/nodes/{node}/lxc/{vmid}/"+path)
	}
	const qemu = "/nodes/{node}/qemu/{vmid}/firewall/"
	add(none, qemu+"aliases", qemu+"ipset", qemu+"refs", qemu+"rules")
	add(value(object{"digest": emptyDigest}), qemu+"options")
	add(emptyLog, qemu+"log")
	add(missing("no such alias '{name}'"), qemu+"aliases/{name}")
	add(missing("no such IPSet '{name}'"), qemu+"ipset/{name}", qemu+"ipset/{name}/{cidr}")
	add(missing("no rule at position {pos}"), qemu+"rules/{pos}")
}
