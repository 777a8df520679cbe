// Package schema is PVE's REST API as data: every method with its path, parameters, answer, permission and node, the formats
// of property strings, and a typed request for each method. It is generated from pinned facts (schema.json.gz, formats.json)
// by the command in gen; only the zz_*.go files are.
//
//	e, uri, ok := schema.Lookup("GET", "/nodes/pve1/qemu/100/config")
//	params, errs := e.Validate(raw) // raw holds uri as well
//	var req schema.GetNodesQemuConfig
//	err := schema.Decode(params, &req)
//
// The tables are plain Go data that the linker lays out: loading the package runs nothing and allocates nothing, and pages
// that nobody asks for are never read. Equal nodes are stored once. Everything in it is shared and must not be changed;
// all functions may be called from any goroutine.
//
// # Requests and replies
//
// A request is named after its method and the segments of its path; a parameter of the path counts only at the end:
// GET /access/users/{userid} is GetAccessUsersUserid, GET /nodes/{node}/qemu/{vmid}/config is GetNodesQemuConfig. Optional
// parameters are pointers, arrays are slices. A request that carries a whole configuration (guests, storages, realms, …)
// has the parameters of its path as fields and all others in Params. Where the schema declares the members of the answer,
// there is a type for it: XReply for an object, XRow for an element of an array.
//
// The package knows nothing of HTTP, and checks no permission: Permission only says what to check.
package schema
