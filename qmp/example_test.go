package qmp_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// exampleT stands in for a test: an example has none.
type exampleT struct{ testing.TB }

func (exampleT) Cleanup(func()) {}

func Example() {
	ctx := context.Background()
	machine := qmptest.NewMachine(exampleT{}, nil) // in place of a QEMU
	defer machine.Close()
	c, err := qmp.NewClient(ctx, machine.Conn(), nil) // with a real one: qmp.Dial(ctx, path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	sub := c.Subscribe("RESUME") // before the command whose event is awaited
	defer sub.Close()
	if err := c.Do(ctx, "cont", nil, nil); err != nil {
		fmt.Println(err)
		return
	}
	event, err := sub.Next(ctx, nil)
	fmt.Println(event.Name, err)
	// Output: RESUME <nil>
}
