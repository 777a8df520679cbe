package qapi

//go:generate go run ./gen
