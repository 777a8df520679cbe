package qga

import (
	"context"
	"time"
)

// Ping reports whether an agent answers: nil, or an error such as ErrNotRunning.
func (c *Client) Ping(ctx context.Context) error { return c.Do(ctx, "guest-ping", nil, nil) }

// Interface is a network interface of the guest. See qga/qapi-schema.json: GuestNetworkInterface.
type Interface struct {
	Name            string           `json:"name"`
	HardwareAddress string           `json:"hardware-address,omitempty"`
	IPAddresses     []IPAddress      `json:"ip-addresses,omitempty"`
	Statistics      map[string]int64 `json:"statistics,omitempty"` // rx-bytes, tx-bytes, …
}

// IPAddress is an address of an interface. The agent's word: it may be any text.
type IPAddress struct {
	Address string `json:"ip-address"`
	Type    string `json:"ip-address-type"` // ipv4, ipv6
	Prefix  int    `json:"prefix"`
}

// NetworkGetInterfaces returns the guest's network interfaces with their addresses.
func (c *Client) NetworkGetInterfaces(ctx context.Context) ([]Interface, error) {
	var list []Interface
	if err := c.Do(ctx, "guest-network-get-interfaces", nil, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// Modes of Shutdown. See qga/qapi-schema.json: guest-shutdown.
const (
	PowerDown = "powerdown"
	Halt      = "halt"
	Reboot    = "reboot"
)

// refusal is how long a guest has to refuse a shutdown. It does not confirm one.
const refusal = 2 * time.Second

// Shutdown asks the guest to shut itself down in the given mode; "" is PowerDown. Nil means that the agent took the
// command and did not refuse it within two seconds: the agent does not answer success. The guest's end shows elsewhere.
func (c *Client) Shutdown(ctx context.Context, mode string) error {
	if mode == "" {
		mode = PowerDown
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.SyncTimeout+refusal)
	defer cancel()
	return c.do(ctx, "guest-shutdown", map[string]string{"mode": mode}, nil, false)
}
