package kernelversion_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/kernelversion"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]kernelversion.Version{
		"Linux version 6.8.12-4-pve (a@b) (gcc) #1 SMP":   {6, 8, 12, "4-pve", "6.8.12-4-pve"},
		"Linux version 6.1.0+ (a@b)":                      {6, 1, 0, "+", "6.1.0+"},
		"Linux version 7.0-rc1 (a@b)":                     {7, 0, 0, "rc1", "7.0-rc1"},
		"Linux version 5.15.153.1-microsoft-standard-WSL": {5, 15, 153, ".1-microsoft-standard-WSL", "5.15.153.1-microsoft-standard-WSL"},
		"Linux version 6":                                 {},
		"FreeBSD 14.1":                                    {},
		"":                                                {},
		"Linux version 99999999999.1":                     {},
	} {
		require.Equal(t, want, kernelversion.Parse(text), text)
	}
	v := kernelversion.Parse("Linux version 6.8.12")
	require.True(t, v.AtLeast(6, 8))
	require.True(t, v.AtLeast(5, 99))
	require.False(t, v.AtLeast(6, 9))
	require.False(t, v.AtLeast(7, 0))
}

func FuzzParse(f *testing.F) {
	f.Add("Linux version 6.8.12-4-pve (a)")
	f.Fuzz(func(t *testing.T, s string) {
		v := kernelversion.Parse(s)
		require.GreaterOrEqual(t, v.Major, 0)
		require.GreaterOrEqual(t, v.Minor, 0)
	})
}
