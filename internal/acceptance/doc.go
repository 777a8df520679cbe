// Command acceptance answers acceptance vectors: it is started with the name of a suite, reads one case a line on standard
// input and writes one answer a line on standard output. See make acceptance.
//
//	{"name": "…", "op": "…", "input": {…}}     in
//	{"result": …} | {"error": "…"} | {"skip": "…"}     out
//
// Each suite is a function that calls the package under test and gives its answer the shape the vectors have. The vectors
// are not part of this repository.
package main
