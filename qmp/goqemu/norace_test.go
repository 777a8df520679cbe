//go:build !race

package goqemu_test

const raceDetector = false
