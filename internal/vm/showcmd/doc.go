// Package showcmd is the command that prints how a guest would be started: it reads a
// configuration and the cluster's files below a root directory, translates them, and
// writes the command line. It starts nothing and changes nothing.
//
// With facts of a host from a file, nothing of the host that it runs on is looked at
// either.
package showcmd
