// Package node is this machine as the API shows it: load, memory, processor, name servers, time zone, version.
//
// Host files are read and written below an injected root folder, so that nothing in a test is the real machine's.
package node
