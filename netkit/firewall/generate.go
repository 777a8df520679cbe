package firewall

//go:generate go run ./gen
