// Package datacenter is what concerns the cluster as a whole: its options, its log, the list of all resources, free ids
// and pools.
package datacenter
