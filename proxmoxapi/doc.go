// Package proxmoxapi is the HTTP front of the API of Proxmox VE 9.2: one [Handler], driven by the schema of package
// schema. It owns everything that is only visible on the wire: paths and parameters, tickets and tokens in headers, the
// order of checks, the envelope, reason phrases, compression, uploads, downloads and WebSockets.
//
// It is no implementation of the API. The rooms behind it register one typed function per method:
//
//	reg := proxmoxapi.NewRegistry()
//	proxmoxapi.Handle(reg, func(ctx context.Context, req *schema.GetVersion) (schema.GetVersionReply, error) { … })
//	front := proxmoxapi.New(reg, access, &proxmoxapi.Options{Node: "pve1", Logger: log})
//	err := front.Serve(ctx, listener, tlsConfig)
//
// A method that the schema does not know cannot be registered, and one without a permission entry is root@pam's alone.
// Methods of the schema without a function answer 501; lists of what the system does not have answer empty, as a node
// without any would (absent.go), and the lists of child paths are answered from the schema (index.go).
//
// Every request passes in this order, and the first refusal ends it: limits, authentication, route, permission,
// parameters, function. A function reads its caller with call.From(ctx) and returns any value that encoding/json can
// print or one of the answers of package call; what it may refuse with is in package call too. Any other error becomes
// "internal error (id …)", with the cause in the log under that id.
//
// # Concurrency and privileges
//
// A Registry is filled before New and not changed afterwards; a Handler serves any number of requests. Nothing here needs
// a privilege beyond its listener. Errors close their connection, since their status line carries PVE's text and is
// written by hand; success keeps it.
//
// The wire facts come from pve-http-server 6.0.5 and pve-common 9.2.1.
package proxmoxapi
