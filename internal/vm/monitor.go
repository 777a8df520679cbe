package vm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/qmp"
)

// monitorPatience bounds a command of the human monitor.
const monitorPatience = 25 * time.Second

// monitorRight is who may give a command of the human monitor.
type monitorRight int

const (
	monitorRoot   monitorRight = iota // reaches files and networks of the host, or the guest's memory
	monitorModify                     // Sys.Modify on /
	monitorAll                        // who may use the monitor at all
)

// monitorRights are the commands that others than root may give, and those that are known to be root's. See hmp-commands.hx
// of QEMU. All others are root's, too.
var monitorRights = map[string]monitorRight{
	"help": monitorAll, "?": monitorAll, "info": monitorAll,

	"c": monitorModify, "cont": monitorModify, "s": monitorModify, "stop": monitorModify,
	"system_powerdown": monitorModify, "system_reset": monitorModify, "system_wakeup": monitorModify,
	"sendkey": monitorModify, "mouse_button": monitorModify, "mouse_move": monitorModify, "mouse_set": monitorModify,
	"balloon": monitorModify, "set_link": monitorModify, "nmi": monitorModify, "block_job_cancel": monitorModify,
	"block_job_pause": monitorModify, "block_job_resume": monitorModify, "block_job_set_speed": monitorModify,

	"block_resize": monitorRoot, "block_stream": monitorRoot, "change": monitorRoot, "chardev-add": monitorRoot, "chardev-change": monitorRoot,
	"chardev-remove": monitorRoot, "client_migrate_info": monitorRoot, "closefd": monitorRoot, "commit": monitorRoot,
	"delvm": monitorRoot, "device_add": monitorRoot, "device_del": monitorRoot, "drive_add": monitorRoot, "drive_backup": monitorRoot,
	"drive_del": monitorRoot, "drive_mirror": monitorRoot, "dump-guest-memory": monitorRoot, "eject": monitorRoot, "expire_password": monitorRoot,
	"gdbserver": monitorRoot, "getfd": monitorRoot, "hostfwd_add": monitorRoot, "hostfwd_remove": monitorRoot, "i": monitorRoot,
	"loadvm": monitorRoot, "log": monitorRoot, "logfile": monitorRoot, "memsave": monitorRoot, "migrate": monitorRoot,
	"migrate_incoming": monitorRoot, "nbd_server_add": monitorRoot, "nbd_server_start": monitorRoot, "nbd_server_stop": monitorRoot,
	"netdev_add": monitorRoot, "netdev_del": monitorRoot, "o": monitorRoot, "object_add": monitorRoot, "object_del": monitorRoot,
	"p": monitorRoot, "pmemsave": monitorRoot, "print": monitorRoot, "q": monitorRoot, "qemu-io": monitorRoot, "qom-set": monitorRoot,
	"quit": monitorRoot, "savevm": monitorRoot, "screendump": monitorRoot, "set_password": monitorRoot, "snapshot_blkdev": monitorRoot,
	"stopcapture": monitorRoot, "trace-event": monitorRoot, "wavcapture": monitorRoot, "x": monitorRoot, "xp": monitorRoot,
}

// monitorCommand is the name of the command on a line, as QEMU reads it: what is before the first blank or format.
func monitorCommand(line string) string {
	line = strings.TrimLeft(line, " \t\n\v\f\r")
	if i := strings.IndexAny(line, "/ \t\n\v\f\r"); i >= 0 {
		line = line[:i]
	}
	return line
}

// checkMonitor refuses a command that the caller may not give.
func (s *Service) checkMonitor(ctx context.Context, line string) error {
	if call.From(ctx).IsRoot() {
		return nil
	}
	name := monitorCommand(line)
	switch right, known := monitorRights[name]; {
	case !known:
		return call.Errorf("command '%s' non-existent or not assigned a required permission yet, limiting to root user", name)
	case right == monitorRoot:
		return call.Errorf("root-only command '%s'", name)
	case right == monitorModify:
		return s.o.Access.Check(ctx, "/", "Sys.Modify")
	}
	return nil
}

// human gives a command to the human monitor and returns what it prints.
func (g *guest) human(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, monitorPatience)
	defer cancel()
	var out string
	err := g.do(ctx, "human-monitor-command", map[string]any{"command-line": line}, &out)
	return strings.ReplaceAll(out, "\r\n", "\n"), err
}

// PostNodesQemuMonitor answers POST /nodes/{node}/qemu/{vmid}/monitor: a command of QEMU's human monitor. Its failure is an
// answer, too.
func (s *Service) PostNodesQemuMonitor(ctx context.Context, req *schema.PostNodesQemuMonitor) (string, error) {
	if err := s.checkMonitor(ctx, req.Command); err != nil {
		return "", err
	}
	id := int(req.Vmid)
	if _, err := s.Load(ctx, id); err != nil {
		return "", err
	}
	g := s.guest(id)
	if g == nil {
		return fmt.Sprintf("ERROR: VM %d not running\n", id), nil
	}
	out, err := g.human(ctx, req.Command)
	if e, ok := errors.AsType[*qmp.Error](err); ok {
		return "ERROR: " + e.Desc + "\n", nil
	}
	if err != nil {
		s.o.Logger.Warn("human monitor", "vmid", id, "err", err)
		return fmt.Sprintf("ERROR: VM %d qmp command 'human-monitor-command' failed - got timeout\n", id), nil
	}
	return out, nil
}

// keyName is a key, or several that are pressed together, as QEMU names them.
var keyName = regexp.MustCompile(`^[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*$`)

// PutNodesQemuSendkey answers PUT /nodes/{node}/qemu/{vmid}/sendkey.
func (s *Service) PutNodesQemuSendkey(ctx context.Context, req *schema.PutNodesQemuSendkey) (any, error) {
	if err := rootOnly(ctx, map[string]bool{"skiplock": isTrue(req.Skiplock)}); err != nil {
		return nil, err
	}
	id := int(req.Vmid)
	if _, err := s.Load(ctx, id); err != nil {
		return nil, err
	}
	g := s.guest(id)
	if g == nil {
		return nil, call.Errorf("VM %d not running", id)
	}
	if !keyName.MatchString(req.Key) { // it could hold arguments of the command
		return nil, call.Errorf("invalid parameter: %s", req.Key)
	}
	out, err := g.human(ctx, "sendkey "+req.Key)
	if err != nil {
		return nil, call.Errorf("VM %d qmp command 'human-monitor-command' failed - %w", id, err)
	}
	if out = strings.TrimSpace(out); out != "" {
		return nil, call.Errorf("%s", out)
	}
	return nil, nil
}
