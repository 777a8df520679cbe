package vm

import (
	"context"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// Exists is nil if there is such a VM on this node.
func (s *Service) Exists(ctx context.Context, id int) error {
	_, err := s.Load(ctx, id)
	return err
}

// Screen returns a new connection to a running guest's VNC server, after its password was set.
func (s *Service) Screen(ctx context.Context, id int, password string) (io.ReadWriteCloser, error) {
	g := s.guest(id)
	if g == nil {
		return nil, call.Errorf("VM %d not running", id)
	}
	if err := g.do(ctx, "set_password", map[string]any{"protocol": "vnc", "password": password}, nil); err != nil {
		return nil, call.Errorf("VM %d qmp command 'set_password' failed - %w", id, err)
	}
	conn, err := g.addViewer(ctx)
	if err != nil {
		return nil, call.Errorf("VM %d qmp command 'add_client' failed - %w", id, err)
	}
	return conn, nil
}

// Terminal returns the path of the socket of a running guest's serial port: the given one, else the one that is its
// display, else the first.
func (s *Service) Terminal(ctx context.Context, id int, serial string) (string, error) {
	v, err := s.Load(ctx, id)
	if err != nil {
		return "", err
	}
	if s.guest(id) == nil {
		return "", call.Errorf("VM %d not running", id)
	}
	if serial == "" {
		serial = preferredSerial(v.Config.Main)
	}
	if v.Config.Main[serial] != "socket" {
		return "", call.Errorf("unable to find a serial interface")
	}
	return filepath.Join(s.runDir(id), serial), nil
}

func preferredSerial(main vmconfig.Section) string {
	if vga, err := vmconfig.ParseVGA(main["vga"]); err == nil && strings.HasPrefix(vga.Type, "serial") {
		return vga.Type
	}
	for i := range 4 {
		if key := "serial" + strconv.Itoa(i); main[key] == "socket" {
			return key
		}
	}
	return ""
}
