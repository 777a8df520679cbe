// Package ticket makes and checks the signed texts with which clients of the API prove who they are: login tickets,
// tickets that wait for a second factor, console tickets, and the tokens against cross-site requests.
//
// The shapes are Proxmox VE's, so that clients that look inside find what they expect; the signature is Ed25519, which
// only servers of one cluster check. Everything is a pure function of its arguments: where the keys are kept, when they
// are rotated and whether the user still exists is the business of the caller.
//
//	keys, err := ticket.Generate(rand.Reader, now)
//	text := keys.Login("ops@pve", now)
//	user, issued, err := keys.VerifyLogin(text, now)
//
// Keys are immutable and safe for concurrent use. Hostile input gives an error, never a panic, in time linear to its
// length, and comparisons of secrets take constant time.
package ticket
