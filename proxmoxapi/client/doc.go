// Package client speaks to a Proxmox VE compatible API: login or token, any call, uploads, tasks, WebSockets.
//
//	c, err := client.New("https://localhost:8006", &client.Options{Fingerprint: "AB:CD:…"})
//	err = c.Login(ctx, "root@pam", password)
//	var nodes []struct{ Node string }
//	err = c.Get(ctx, "/nodes", nil, &nodes)
//
// It has no types for the answers: every call decodes into what the caller gives. A Client is safe for concurrent use.
package client
