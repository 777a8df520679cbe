// Package password hashes passwords and checks them, with a bound on how much of the machine that may take.
//
// New hashes are argon2id. Hashes made by crypt(3), as an imported shadow.cfg holds them (SHA-256 "$5$", SHA-512 "$6$",
// bcrypt "$2a$" "$2b$" "$2y$"), are checked too, and Verify says that they should be replaced.
//
//	h, err := password.New(nil)
//	hash, err := h.Hash(ctx, "correct horse")
//	ok, stale, err := h.Verify(ctx, hash, "correct horse")
//
// A Hasher is safe for concurrent use; computations beyond its limit wait for their turn or for the end of their context.
// It keeps no password and logs nothing.
package password
