// Package vm is the life of virtual machines on this node: their configuration, their volumes, ports and process.
//
// Three facts make up a VM: its stored configuration (one text under one key, see [Repository]), the operation that is
// running on it (a task in the queue vm/ID), and what this node holds for its running process (a [Hold]). Everything
// else, such as its status, follows from these.
//
// After its creation only operations of the VM's queue write its configuration, each write guarded by the revision that
// was read. A running VM outlives the daemon: its process is found again by the hold.
package vm
