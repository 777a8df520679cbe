package volume

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
	"github.com/turtacn/go-proxmox/internal/hosttool"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// scanPatience bounds every look at what a host or a server offers.
const scanPatience = 20 * time.Second

// portalPatience is how long an iSCSI portal may take to answer at all.
const portalPatience = 2 * time.Second

// scan runs a program for a look, with texts for the user.
func (s *Service) scan(ctx context.Context, c hosttool.Command) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, scanPatience)
	defer cancel()
	out, err := s.opts.Tools.Run(ctx, c)
	switch {
	case errors.Is(err, hosttool.ErrMissing):
		return "", public(err, "the program '%s' is not installed on this node", c.Name)
	case errors.Is(err, context.DeadlineExceeded):
		return "", public(err, "%s: got timeout", c.Name)
	}
	if e, ok := errors.AsType[*hosttool.Error](err); ok {
		return string(out), public(err, "%s failed with exit code %d: %s", c.Name, e.Exit, e.Text())
	}
	return string(out), err
}

// GetNodesScan answers the index.
func (s *Service) GetNodesScan(context.Context, *schema.GetNodesScan) ([]schema.GetNodesScanRow, error) {
	var rows []schema.GetNodesScanRow
	for _, name := range []string{"cifs", "iscsi", "lvm", "nfs", "pbs", "zfs"} {
		rows = append(rows, schema.GetNodesScanRow{Method: name})
	}
	return rows, nil
}

// serverName refuses what a program could take for something else than a server.
func serverName(param, name string) error {
	if name == "" || len(name) > 253 || strings.HasPrefix(name, "-") || strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("/\\,;'\"`$|&<>(){}", r)
	}) {
		return call.Param(param, "not a server's name or address")
	}
	return nil
}

// GetNodesScanNfs lists the exports of an NFS server.
func (s *Service) GetNodesScanNfs(ctx context.Context, req *schema.GetNodesScanNfs) ([]schema.GetNodesScanNfsRow, error) {
	if err := serverName("server", req.Server); err != nil {
		return nil, err
	}
	if _, err := s.resolve(ctx, req.Server); err != nil {
		return nil, public(err, "unable to resolve address for server '%s'", req.Server)
	}
	out, err := s.scan(ctx, hosttool.Command{Name: "showmount", Args: []string{"--no-headers", "--exports", req.Server}})
	if err != nil {
		return nil, err
	}
	return parseExports(out), nil
}

func parseExports(out string) []schema.GetNodesScanNfsRow {
	rows := []schema.GetNodesScanNfsRow{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexAny(line, " \t")
		if !strings.HasPrefix(line, "/") {
			continue
		}
		if i < 0 {
			rows = append(rows, schema.GetNodesScanNfsRow{Path: line})
			continue
		}
		rows = append(rows, schema.GetNodesScanNfsRow{Path: strings.TrimSpace(line[:i]), Options: line[i+1:]})
	}
	return rows
}

// resolve looks a server's address up.
func (s *Service) resolve(ctx context.Context, host string) ([]string, error) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if net.ParseIP(host) != nil {
		return []string{host}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, scanPatience)
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, host)
}

// GetNodesScanCifs lists the shares of an SMB server.
func (s *Service) GetNodesScanCifs(ctx context.Context, req *schema.GetNodesScanCifs) ([]schema.GetNodesScanCifsRow, error) {
	if err := serverName("server", req.Server); err != nil {
		return nil, err
	}
	user, domain := deref(req.Username), deref(req.Domain)
	for param, v := range map[string]string{"username": user, "domain": domain} {
		if strings.HasPrefix(v, "-") || strings.ContainsAny(v, "%\\/\n\x00") {
			return nil, call.Param(param, "not a plain name")
		}
	}
	c := hosttool.Command{Name: "smbclient", Args: []string{"-m", "smb3", "-d", "0", "-g", "-L", req.Server}}
	if domain != "" {
		c.Args = append(c.Args, "-W", domain)
	}
	if user == "" {
		c.Args = append(c.Args, "-N")
	} else { // the password goes by the environment: arguments are everybody's to read
		c.Args = append(c.Args, "-U", user)
		c.Env = append(c.Env, "PASSWD="+deref(req.Password))
	}
	out, err := s.scan(ctx, c)
	rows := parseShares(out)
	if len(rows) == 0 && err != nil {
		return nil, err
	}
	return rows, nil
}

// parseShares reads smbclient -g: TYPE|NAME|COMMENT.
func parseShares(out string) []schema.GetNodesScanCifsRow {
	rows := []schema.GetNodesScanCifsRow{}
	for line := range strings.Lines(out) {
		w := strings.SplitN(strings.TrimRight(line, "\r\n"), "|", 3)
		if len(w) == 3 && w[0] == "Disk" && !strings.HasSuffix(w[1], "$") {
			rows = append(rows, schema.GetNodesScanCifsRow{Share: w[1], Description: w[2]})
		}
	}
	return rows
}

// GetNodesScanIscsi lists the targets of an iSCSI portal, none if it does not answer.
func (s *Service) GetNodesScanIscsi(ctx context.Context, req *schema.GetNodesScanIscsi) ([]schema.GetNodesScanIscsiRow, error) {
	host, port := req.Portal, "3260"
	if h, p, err := net.SplitHostPort(req.Portal); err == nil {
		host, port = h, p
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if err := serverName("portal", host); err != nil {
		return nil, err
	}
	addrs, err := s.resolve(ctx, host)
	if err != nil || len(addrs) == 0 {
		return nil, call.Param("portal", "unable to resolve portal address '%s'", req.Portal)
	}
	if _, err := hosttool.Find("iscsiadm"); err != nil && s.opts.Tools == hosttool.Runner(hosttool.Host{}) {
		return nil, public(err, "error: no iscsi support - please install open-iscsi")
	}
	address := net.JoinHostPort(addrs[0], port)
	d := net.Dialer{Timeout: portalPatience}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return []schema.GetNodesScanIscsiRow{}, nil
	}
	conn.Close()
	out, err := s.scan(ctx, hosttool.Command{Name: "iscsiadm", Args: []string{"--mode", "discovery", "--type", "sendtargets", "--portal", address}})
	if errors.Is(err, hosttool.ErrMissing) {
		return nil, public(err, "error: no iscsi support - please install open-iscsi")
	}
	if err != nil {
		return nil, err
	}
	return parseTargets(out), nil
}

// parseTargets reads lines such as "192.0.2.1:3260,1 iqn.2020-01.example:disks"; a target has several portals.
func parseTargets(out string) []schema.GetNodesScanIscsiRow {
	portals := map[string][]string{}
	for line := range strings.Lines(out) {
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		if portal, _, ok := strings.Cut(w[0], ","); ok {
			portals[w[1]] = append(portals[w[1]], portal)
		}
	}
	rows := []schema.GetNodesScanIscsiRow{}
	for target, list := range portals {
		rows = append(rows, schema.GetNodesScanIscsiRow{Target: target, Portal: strings.Join(list, ",")})
	}
	slices.SortFunc(rows, func(a, b schema.GetNodesScanIscsiRow) int { return strings.Compare(a.Target, b.Target) })
	return rows
}

// GetNodesScanLvm lists the volume groups of this node.
func (s *Service) GetNodesScanLvm(ctx context.Context, _ *schema.GetNodesScanLvm) (any, error) {
	out, err := s.scan(ctx, hosttool.Command{Name: "vgs", Args: append(hostdisk.LVMArgs(), "--options", hostdisk.VGFields)})
	if err != nil {
		return nil, err
	}
	groups, err := hostdisk.ParseGroups(out, "")
	rows := []map[string]any{}
	for _, g := range groups {
		rows = append(rows, map[string]any{"vg": g.Name, "size": g.SizeBytes, "free": g.FreeBytes, "lvcount": g.LVs})
	}
	return rows, err
}

// GetNodesScanLvmthin lists the thin pools of a volume group.
func (s *Service) GetNodesScanLvmthin(ctx context.Context, req *schema.GetNodesScanLvmthin) (any, error) {
	if strings.HasPrefix(req.Vg, "-") || strings.ContainsAny(req.Vg, "/\x00 ") {
		return nil, call.Param("vg", "not the name of a volume group")
	}
	args := append(hostdisk.LVMArgs(), "--options", hostdisk.LVFields, "--", req.Vg)
	out, err := s.scan(ctx, hosttool.Command{Name: "lvs", Args: args})
	if err != nil {
		return nil, err
	}
	pools, err := hostdisk.ParseThinPools(out)
	rows := []map[string]any{}
	for i := range pools {
		rows = append(rows, pools[i].Row())
	}
	return rows, err
}

// GetNodesScanZfs lists the datasets that a storage can be put on.
func (s *Service) GetNodesScanZfs(ctx context.Context, _ *schema.GetNodesScanZfs) (any, error) {
	out, err := s.scan(ctx, hosttool.Command{Name: "zfs", Args: []string{"list", "-H", "-p", "-t", "filesystem", "-o", "name,avail,used"}})
	if err != nil {
		return nil, err
	}
	rows := []map[string]any{}
	for _, d := range hostdisk.ParseDatasets(out) {
		rows = append(rows, map[string]any{"pool": d.Name, "size": d.AvailBytes, "free": d.AvailBytes - d.UsedBytes})
	}
	return rows, nil
}
