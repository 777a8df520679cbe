package machine

import (
	"errors"
	"fmt"
)

// Arguments returns the arguments of QMP chardev-add, whose form is another than that of -chardev. The backends "socket" (at
// a path, or at a host and a port), "file", "ringbuf", "spicevmc", "pty" and "null" have one here; others, and options that
// are not known here, are errors.ErrUnsupported. See qapi/char.json: chardev-add.
func (c Chardev) Arguments() (map[string]any, error) {
	rest := asMap(c.Props)
	data := map[string]any{}
	// Options with the same name and value in both forms.
	var same []string
	switch c.Backend {
	case "socket":
		data["addr"] = socketAddress(rest)
		same = []string{"server", "wait", "nodelay", "telnet", "reconnect", "tls-creds", "tls-authz"}
	case "file":
		move(rest, data, "path", "out")
		same = []string{"append"}
	case "ringbuf":
		same = []string{"size"}
	case "spicevmc":
		move(rest, data, "name", "type")
	case "pty", "null":
	default:
		return nil, fmt.Errorf("machine: chardev %s: backend %s: %w", c.ID, c.Backend, errors.ErrUnsupported)
	}
	for _, name := range append(same, "logfile", "logappend") {
		move(rest, data, name, name)
	}
	if c.Backend == "socket" && data["server"] == nil {
		data["server"] = false // QMP's default is true, the command line's false
	}
	for name := range rest {
		return nil, fmt.Errorf("machine: chardev %s: option %s: %w", c.ID, name, errors.ErrUnsupported)
	}
	return map[string]any{"id": c.ID, "backend": map[string]any{"type": c.Backend, "data": data}}, nil
}

func socketAddress(rest map[string]any) map[string]any {
	address := map[string]any{}
	if _, ok := rest["path"]; ok {
		move(rest, address, "path", "path")
		return map[string]any{"type": "unix", "data": address}
	}
	move(rest, address, "host", "host")
	move(rest, address, "port", "port")
	if port, ok := address["port"]; ok {
		address["port"] = text(port) // a service name is allowed, so it is text in QMP
	}
	return map[string]any{"type": "inet", "data": address}
}

func move(from, to map[string]any, name, as string) {
	if v, ok := from[name]; ok {
		to[as] = v
		delete(from, name)
	}
}
