package qmp

import "time"

// RestFor has the client's reader rest for d where nothing calls it back. It is for Options.Setup.
func RestFor(c *Client, d time.Duration) { c.restTime = d }

// Resting tells whether nobody reads for c until it is called back.
func Resting(c *Client) bool { return c.resting.Load() && len(c.back) == 0 }
