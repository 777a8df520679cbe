package machine

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Object is one object of QEMU's object model (-object, object-add).
type Object struct {
	Type string
	ID   string
	// Props in order. A value that is a map or a list makes the object print as JSON.
	Props []Property
}

// Arguments returns the arguments of QMP object-add. See qapi/qom.json: object-add.
func (o Object) Arguments() map[string]any {
	m := asMap(o.Props)
	m["qom-type"], m["id"] = o.Type, o.ID
	return m
}

// String returns the value of -object.
func (o Object) String() string {
	for _, p := range o.Props {
		switch p.Value.(type) {
		case map[string]any, []any:
			return mustJSON(o.Arguments())
		}
	}
	return newOption(o.Type).addSet("id", o.ID).props(o.Props).String()
}

// mustJSON marshals values that this package has made itself: maps, lists, text,
// numbers and booleans, for which marshalling does not fail.
func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("machine: %v", err))
	}
	return string(b)
}

// Chardev is a character stream of the host (-chardev).
type Chardev struct {
	// Backend is a name of `-chardev help`.
	Backend string
	ID      string
	Props   []Property
}

// String returns the value of -chardev.
func (c Chardev) String() string {
	return newOption(c.Backend).addSet("id", c.ID).props(c.Props).String()
}

// ListenSocket is a chardev on a unix socket that QEMU makes and does not wait for.
func ListenSocket(id, path string) Chardev {
	return Chardev{Backend: "socket", ID: id, Props: []Property{{"path", path}, {"server", true}, {"wait", false}}}
}

// ConnectSocket is a chardev on a unix socket that another process listens on.
func ConnectSocket(id, path string) Chardev {
	return Chardev{Backend: "socket", ID: id, Props: []Property{{"path", path}}}
}

// Netdev is the host's end of a network card (-netdev, netdev_add).
type Netdev struct {
	// Type is "tap", "user", "socket", …; see qapi/net.json: NetClientDriver.
	Type  string
	ID    string
	Props []Property
}

// Arguments returns the arguments of QMP netdev_add.
func (n Netdev) Arguments() map[string]any {
	m := asMap(n.Props)
	m["type"], m["id"] = n.Type, n.ID
	return m
}

// String returns the value of -netdev.
func (n Netdev) String() string {
	return newOption("").add("type", n.Type).add("id", n.ID).props(n.Props).String()
}

// Audiodev is the host's end of a sound card (-audiodev).
type Audiodev struct{ Driver, ID string }

// String returns the value of -audiodev.
func (a Audiodev) String() string { return newOption(a.Driver).add("id", a.ID).String() }

// TPM is the host's end of a trusted platform module (-tpmdev): an emulator behind a
// chardev.
type TPM struct{ ID, Chardev string }

// String returns the value of -tpmdev.
func (t TPM) String() string {
	return newOption("emulator").add("id", t.ID).add("chardev", t.Chardev).String()
}

// Drive is a block device in the form that QEMU had before -blockdev (-drive). It
// exists to describe machines of others; new machines use [Node].
type Drive struct{ Props []Property }

// String returns the value of -drive.
func (d Drive) String() string { return newOption("").props(d.Props).String() }

func (r CPURange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return strconv.Itoa(r.First) + "-" + strconv.Itoa(r.Last)
}
