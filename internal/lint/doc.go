// Package lint holds the tests of the house's structure: which package may import which, and why.
package lint
