package nflog

import "errors"

// ErrBusy is a group that another program listens to.
var ErrBusy = errors.New("another program reads this group of the kernel's log")
