// Package console connects people to guests: screens (VNC) and terminals (serial ports) through WebSockets.
//
// A proxy call opens a session: a ticket bound to the caller, the guest and a port number, good for one connection within
// ten seconds. No port is really opened: the number only names the session in the WebSocket call that follows, which is
// joined with the socket of the guest's QEMU. Each session is a task, so that it is seen who looked, and can be ended.
package console
