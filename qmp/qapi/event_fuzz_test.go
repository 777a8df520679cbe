package qapi

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
)

// FuzzDecodeEvent decodes what a hostile QEMU may send as an event's name and data.
func FuzzDecodeEvent(f *testing.F) {
	f.Add(EventShutdown, []byte(`{"guest":true,"reason":"guest-shutdown"}`))
	f.Add(EventBlockJobCompleted, []byte(`{"type":"mirror","device":"d","len":1,"offset":1,"speed":0,"error":"x"}`))
	f.Add(EventMigration, []byte(`{"status":null}`))
	f.Add(EventMemoryFailure, []byte(`{"recipient":"guest","action":"inject","flags":{}}`))
	f.Add("NO_SUCH_EVENT", []byte(`[]`))
	f.Add(EventDeviceDeleted, []byte(nil))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		e := qmp.Event{Name: name}
		if json.Valid(data) { // the client has looked at that much
			e.Data = data
		}
		v, err := DecodeEvent(e)
		if err == nil && v != nil {
			require.Equal(t, name, v.EventName())
		}
		_, _, _ = e.Str("device"), e.Int("len"), e.Bool("guest")
	})
}
