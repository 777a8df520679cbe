// Package inventory is the read model of all guests: one row each, kept up to date by watching the store, with the live
// figures that the owning node reports. Lists read only this; they parse nothing and touch no guest.
package inventory
