package qapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
)

// Client executes commands. *qmp.Client is one. Args encode to a JSON object, or are nil; the reply is stored in out as
// encoding/json does, and dropped when out is nil.
type Client interface {
	Do(ctx context.Context, cmd string, args, out any) error
}

// ask executes a command that returns an object.
func ask[T any](ctx context.Context, c Client, cmd string, args any) (*T, error) {
	out := new(T)
	if err := c.Do(ctx, cmd, args, out); err != nil {
		return nil, err
	}
	return out, nil
}

// DeviceAddArgs are the arguments of DeviceAdd.
type DeviceAddArgs struct {
	Driver string  // a name of `-device help`
	Bus    *string // the parent bus; nil is any that fits
	ID     *string // unplugging needs one
	// Properties are the driver's own, such as "drive". QEMU tells them with DeviceListProperties.
	Properties map[string]any
}

// MarshalJSON puts everything into one object.
func (a DeviceAddArgs) MarshalJSON() ([]byte, error) {
	for _, name := range []string{"driver", "bus", "id"} {
		if _, ok := a.Properties[name]; ok {
			return nil, fmt.Errorf("qapi: device_add: %q among the properties", name)
		}
	}
	all := map[string]any{"driver": a.Driver}
	maps.Copy(all, a.Properties)
	if a.Bus != nil {
		all["bus"] = *a.Bus
	}
	if a.ID != nil {
		all["id"] = *a.ID
	}
	return json.Marshal(all)
}

// DeviceAdd executes device_add. See qapi/qdev.json: device_add. Since QEMU 0.13.
func DeviceAdd(ctx context.Context, c Client, args *DeviceAddArgs) error {
	return c.Do(ctx, "device_add", args, nil)
}
