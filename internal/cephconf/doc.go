// Package cephconf reads and writes Ceph's configuration file as Proxmox VE understands it.
//
//	cfg := cephconf.Parse(text)
//	fsid, ok := cfg.Get("global", "fsid")
//	err := cfg.Set("global", "mon_host", "192.0.2.1 192.0.2.2")
//	text = cfg.String()
//
// The format (see "Configuration file" in Ceph's documentation) is one of sections and "key = value" lines. A '#' or ';'
// starts a comment unless a backslash stands before it; a backslash at the end of a line joins the next one to it, unless
// the line has a comment. Values may stand in quotes. Blanks and '_' in keys are the same. What cannot be read is
// skipped: a line without a key, a value with a stray quote or none at all. A '[' anywhere makes a line a section's, and
// if it is not one, everything up to the next section is skipped.
//
// Writing parses back to the same sections; comments and the order of the text are not kept. A Config is not safe for
// concurrent use.
package cephconf
