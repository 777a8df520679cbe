package pveconf_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

func TestConvertSize(t *testing.T) {
	tests := []struct {
		value    string
		from, to pveconf.Unit
		down     bool
		want     int64
		err      string
	}{
		{"3", pveconf.MiB, pveconf.KiB, false, 3072, ""},
		{"2.25", pveconf.KiB, pveconf.Byte, false, 2304, ""},
		{".75", pveconf.GiB, pveconf.MiB, false, 768, ""},
		{"7.", pveconf.PiB, pveconf.TiB, true, 7168, ""},
		{"1023", pveconf.Byte, pveconf.KiB, false, 1, ""},
		{"1023", pveconf.Byte, pveconf.KiB, true, 0, ""},
		{"4096", pveconf.KiB, pveconf.MiB, false, 4, ""},
		{"9007199254740993", pveconf.Byte, pveconf.Byte, false, 9007199254740993, ""},
		{"9000", pveconf.PiB, pveconf.Byte, false, 0, "value '9000' is too large"},
		{"", pveconf.KiB, pveconf.KiB, false, 0, "no value given"},
		{"+1", pveconf.KiB, pveconf.KiB, false, 0, "value '+1' is not a valid, positive number"},
		{"1e3", pveconf.KiB, pveconf.KiB, false, 0, "value '1e3' is not a valid, positive number"},
		{"1", "kib", pveconf.KiB, false, 0, "unknown 'from' and/or 'to' units (kib => kb)"},
		{strings.Repeat("9", 100), pveconf.KiB, pveconf.KiB, false, 0, "value '" + strings.Repeat("9", 100) + "' is not a valid, positive number"},
	}
	for _, tt := range tests {
		got, err := pveconf.ConvertSize(tt.value, tt.from, tt.to, tt.down)
		if tt.err != "" {
			require.EqualError(t, err, tt.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tt.want, got, "%s %s", tt.value, tt.from)
	}
}

func TestSizes(t *testing.T) {
	for text, size := range map[string]int64{"512": 512, "4M": 4 << 20, "1.5G": 3 << 29, "2TiB": 2 << 40, "0": 0, "10K": 10240} {
		got, err := pveconf.ParseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, size, got, text)
	}
	for _, text := range []string{"", "M", "4 M", "4MB", "99999999999T", "-1"} {
		_, err := pveconf.ParseSize(text)
		require.Error(t, err, text)
	}
	for size, text := range map[int64]string{0: "0", 1537: "1537", 4 << 20: "4M", 32 << 30: "32G", 3 << 50: "3072T", 1536: "1536", 1536 << 10: "1536K"} {
		require.Equal(t, text, pveconf.FormatSize(size))
	}
}

func TestRender(t *testing.T) {
	require.Equal(t, "512.00 B", pveconf.RenderBytes(512, 2))
	require.Equal(t, "1.5 GiB", pveconf.RenderBytes(3<<29, 1))
	require.Equal(t, "2048 EiB", pveconf.RenderBytes(1<<71, 0))
	for seconds, text := range map[float64]string{-5: "0s", 0.49: "0s", 61: "1m 1s", 3600: "1h", 90061: "1d 1h 1m 1s", 14 * 86400: "2w"} {
		require.Equal(t, text, pveconf.RenderDuration(seconds))
	}
	require.Equal(t, "12.35%", pveconf.RenderFraction(0.12346))
	require.Equal(t, "2001-09-09 03:46:40", pveconf.RenderTime(1_000_000_000, time.FixedZone("", 7200)))
}

func TestText(t *testing.T) {
	for text, encoded := range map[string]string{"plain text": "plain text", "a:b%c": "a%3Ab%25c", "l1\nl2": "l1%0Al2", "é": "%C3%A9", "": ""} {
		require.Equal(t, encoded, pveconf.EncodeText(text))
		require.Equal(t, text, pveconf.DecodeText(encoded))
	}
	require.Equal(t, "50% of a%zz%", pveconf.DecodeText("50% of a%zz%"))
	require.Equal(t, "a9993e364706816aba3e25717850c26c9cd0d89d", pveconf.Digest("abc"))
	for _, s := range []string{"1", "on", "YES", "True"} {
		v, ok := pveconf.ParseBool(s)
		require.True(t, v && ok)
	}
	for _, s := range []string{"0", "Off", "no", "FALSE"} {
		v, ok := pveconf.ParseBool(s)
		require.True(t, !v && ok)
	}
	_, ok := pveconf.ParseBool("2")
	require.False(t, ok)
	require.Equal(t, []string{"a", "b", "c"}, pveconf.SplitList(" a, b;c "))
	require.Equal(t, []string{"", "a b"}, pveconf.SplitList("\x00a b\x00\x00"))
	require.Empty(t, pveconf.SplitList(" ,;"))
}
