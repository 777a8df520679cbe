package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// reaches sends datagrams for up to two seconds. Sockets belong to the namespace that they were made in.
func reaches(ctx context.Context, from, to host, addr netip.Addr) bool {
	var server, client *net.UDPConn
	at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 5000))
	err := errors.Join(
		to.ns.Do(ctx, func() (err error) { server, err = net.ListenUDP("udp4", at); return err }),
		from.ns.Do(ctx, func() (err error) { client, err = net.DialUDP("udp4", nil, at); return err }),
	)
	if err != nil {
		return false
	}
	defer server.Close()
	defer client.Close()
	for range 20 {
		client.Write([]byte("hello")) // lost while nobody knows the other's address
		server.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := server.Read(make([]byte, 16)); err == nil {
			return true
		}
	}
	return false
}
