package console

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTerminal(t *testing.T) {
	client, server := net.Pipe()
	guest, port := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- serveTerminal(server, port, "a@pve", "T:1::x") }()

	read := func(c net.Conn, n int) string {
		buf := make([]byte, n)
		_, err := io.ReadFull(c, buf)
		require.NoError(t, err)
		return string(buf)
	}
	_, err := client.Write([]byte("a@pve:T:1::x\n"))
	require.NoError(t, err)
	require.Equal(t, "OK", read(client, 2))
	go client.Write([]byte("1:80:24:1:-1:-1:20:3:l:s0:1:\n"))
	require.Equal(t, "l:s\n", read(guest, 4))
	go guest.Write([]byte("bin"))
	require.Equal(t, "bin", read(client, 3))

	client.Close()
	require.NoError(t, <-done)
	_, err = guest.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "the guest's socket is free again")
}

func TestThreat44_TerminalRefusesOthers(t *testing.T) {
	for _, greeting := range []string{"a@pve:other\n", "b@pve:T\n", "\n", "a@pve:T" + strings.Repeat("x", maxLine) + "\n"} {
		client, server := net.Pipe()
		guest, port := net.Pipe()
		go client.Write([]byte(greeting))
		require.Error(t, serveTerminal(server, port, "a@pve", "T"), greeting)
		client.Close()
		guest.Close()
	}
}

func FuzzInput(f *testing.F) {
	f.Add([]byte("0:3:abc1:80:24:2"))
	f.Add([]byte("0:99999999:x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out strings.Builder
		require.Error(t, input(bufio.NewReaderSize(strings.NewReader(string(data)), maxLine), &out))
		require.LessOrEqual(t, out.Len(), len(data))
	})
}
