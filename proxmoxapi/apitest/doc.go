// Package apitest has what tests of the API need: a server on the loopback ([Start]), a client that shows replies byte for
// byte ([Server.Do], [Server.Raw]), an [Auth] without secrets, and [Conformance], which walks the whole schema.
//
//	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, nil))
//	reply := srv.Do("GET", "/api2/json/version", apitest.Root)
//	require.Equal(t, "HTTP/1.1 200 OK", reply.Line)
//
// It needs no privilege and no network but the loopback. A Server may be used concurrently.
package apitest
