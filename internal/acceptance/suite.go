package main

import (
	"encoding/json"
	"maps"
)

// suiteFunc answers one case of a suite. The result is marshalled to JSON; an error is the answer of a negative case.
type suiteFunc func(op string, input json.RawMessage) (result any, err error)

// suites returns all suites by name. A suite whose cases differ by more than op and input takes the case's name in
// namedSuites.
func suites() map[string]suiteFunc {
	all := map[string]suiteFunc{}
	for _, group := range []func() map[string]suiteFunc{
		accessSuites,
		commonSuites,
		firewallSuites,
		networkSuites,
		qemuSuites,
		storageSuites,
		storageMoreSuites,
		upidSuites,
		volumeSuites,
	} {
		maps.Copy(all, group())
	}
	return all
}

// namedSuites returns the suites whose set-up depends on the name of the case.
func namedSuites() map[string]func(caseName string) suiteFunc {
	return map[string]func(string) suiteFunc{
		"common.section_config": sectionSuite,
	}
}

// find returns the function for a suite, which is given the name of each case.
func find(suite string) (func(caseName string) suiteFunc, bool) {
	if byName, ok := namedSuites()[suite]; ok {
		return byName, true
	}
	fn, ok := suites()[suite]
	return func(string) suiteFunc { return fn }, ok
}
