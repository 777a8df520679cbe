// Package hosttool runs the host's programs for storage and disks: vgs, zpool, sgdisk, smbclient and their like. Arguments are
// passed as they are, never through a shell; a call ends with its context, with all that the program has started; what it prints
// is bounded; and an error says what was run, how it ended, and the end of what the program said.
//
//	out, err := hosttool.Host{}.Run(ctx, hosttool.Command{Name: "vgs", Args: []string{"--reportformat", "json"}})
//	if errors.Is(err, hosttool.ErrMissing) { … }
//
// Rooms take a [Runner], so that their tests can answer in place of the programs. Secrets go by Stdin or Env, never by Args: the
// arguments are in errors and logs. Most programs need root. Linux only: elsewhere nothing is run.
package hosttool
