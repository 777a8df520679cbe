package maker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesBelongToProcesses(t *testing.T) {
	for _, machine := range []string{"", Machine("test")} {
		belong(t, New(machine))
	}
	me, otherMachine := New(Machine("test")), New(Machine("another use"))
	require.NotEqual(t, me.machine, otherMachine.machine)
	require.False(t, me.Abandoned(otherMachine.Name()))
}

func belong(t *testing.T, me Maker) {
	name := me.Name()
	require.True(t, Is(name))
	require.False(t, Is("vm-100-disk-0"))
	require.NotEqual(t, name, me.Name())
	require.False(t, me.Abandoned(name), "its maker is this process")
	require.False(t, me.Abandoned("vm-100-disk-0"))
	require.False(t, me.Abandoned(Prefix+"x"), "not one of ours")

	dead, otherBoot := me, me
	dead.self.Start++
	require.True(t, me.Abandoned(dead.Name()), "a pid is used again")
	otherBoot.boot = digest("a boot")
	require.True(t, me.Abandoned(otherBoot.Name()))
}
