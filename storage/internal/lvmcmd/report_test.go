package lvmcmd

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const lvsReport = `
  {
      "report": [
          {
              "lv": [
                  {"lv_name":"data", "lv_uuid":"AAAAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGGGG", "vg_uuid":"111111-2222-3333-4444-5555-6666-777777", "vg_extent_size":"4194304", "lv_size":"1073741824", "lv_attr":"twi-aotzD-", "lv_time":"1700000000", "lv_tags":"", "pool_lv":"", "origin":"", "data_percent":"12.50", "metadata_percent":"100.00", "thin_id":""},
                  {"lv_name":"linear", "lv_uuid":"HHHHHH-BBBB-CCCC-DDDD-EEEE-FFFF-GGGGGG", "vg_uuid":"111111-2222-3333-4444-5555-6666-777777", "vg_extent_size":"4194304", "lv_size":"8388608", "lv_attr":"-wi-------", "lv_time":"1700000001", "lv_tags":"one,pve-vm-7", "pool_lv":"", "origin":"", "data_percent":"", "metadata_percent":"", "thin_id":""},
                  {"lv_name":"linear", "lv_uuid":"HHHHHH-BBBB-CCCC-DDDD-EEEE-FFFF-GGGGGG", "vg_uuid":"111111-2222-3333-4444-5555-6666-777777", "vg_extent_size":"4194304", "lv_size":"8388608", "lv_attr":"-wi-------", "lv_time":"1700000001", "lv_tags":"one,pve-vm-7", "pool_lv":"", "origin":"", "data_percent":"", "metadata_percent":"", "thin_id":""},
                  {"lv_name":"snap_x_y", "lv_uuid":"IIIIII-BBBB-CCCC-DDDD-EEEE-FFFF-GGGGGG", "vg_uuid":"111111-2222-3333-4444-5555-6666-777777", "vg_extent_size":"4194304", "lv_size":"8388608", "lv_attr":"Vri-aotz-k", "lv_time":"1700000002", "lv_tags":"", "pool_lv":"data", "origin":"x", "data_percent":"0.00", "metadata_percent":"", "thin_id":"12"}
              ]
          }
      ]
  }
`

func TestVolumes(t *testing.T) {
	list, err := parseVolumes([]byte(lvsReport))
	require.NoError(t, err)
	require.Len(t, list, 3, "a volume of two segments is one volume")
	pool, linear, snap := list[0], list[1], list[2]

	require.Equal(t, byte('t'), pool.Type())
	require.Equal(t, byte('D'), pool.Health())
	require.True(t, pool.Zeroes())
	require.Equal(t, []float64{12.5, 100}, []float64{pool.DataPercent, pool.MetadataPercent})

	require.Equal(t, "LVM-1111112222333344445555666677777"+"7"+"HHHHHHBBBBCCCCDDDDEEEEFFFFGGGGGG", linear.UUID)
	require.Equal(t, []string{"one", "pve-vm-7"}, linear.Tags)
	require.Equal(t, int64(8<<20), linear.SizeBytes)
	require.Equal(t, int64(4<<20), linear.ExtentBytes)
	require.True(t, linear.Created.Equal(time.Unix(1700000001, 0)))
	require.Negative(t, linear.DataPercent, "unknown is not zero")
	require.False(t, linear.Active())
	require.False(t, linear.Open())
	require.True(t, linear.Writable())

	require.True(t, snap.Active())
	require.True(t, snap.Open())
	require.False(t, snap.Writable())
	require.Equal(t, int64(12), snap.ThinID)
	require.Equal(t, "x", snap.Origin)
}

func TestVolumesRefused(t *testing.T) {
	for name, edit := range map[string]func(string) string{
		"no json":                      func(string) string { return "  LV VG Attr" },
		"cut off":                      func(s string) string { return s[:len(s)/2] },
		"two reports":                  func(s string) string { return strings.Replace(s, `"report": [`, `"report": [ {"lv":[]},`, 1) },
		"name that is a path":          func(s string) string { return strings.Replace(s, `"snap_x_y"`, `"../x"`, 1) },
		"name like an option":          func(s string) string { return strings.Replace(s, `"snap_x_y"`, `"-x"`, 1) },
		"no name":                      func(s string) string { return strings.Replace(s, `"snap_x_y"`, `""`, 1) },
		"short attributes":             func(s string) string { return strings.Replace(s, "twi-aotzD-", "twi", 1) },
		"size with a unit":             func(s string) string { return strings.Replace(s, `"1073741824"`, `"1.00g"`, 1) },
		"negative size":                func(s string) string { return strings.Replace(s, `"1073741824"`, `"-1"`, 1) },
		"extents of no size":           func(s string) string { return strings.Replace(s, `"4194304"`, `"0"`, 1) },
		"percentage of 101":            func(s string) string { return strings.Replace(s, `"12.50"`, `"101.00"`, 1) },
		"percentage that is no number": func(s string) string { return strings.Replace(s, `"12.50"`, `"NaN"`, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseVolumes([]byte(edit(lvsReport)))
			require.ErrorIs(t, err, ErrReport)
		})
	}
}

func TestGroup(t *testing.T) {
	text := `{"report":[{"vg":[{"vg_name":"a-b","vg_size":"2139095040","vg_free":"1069547520","vg_extent_size":"4194304","vg_missing_pv_count":"1"}]}]}`
	g, err := parseGroup([]byte(text))
	require.NoError(t, err)
	require.Equal(t, Group{Name: "a-b", SizeBytes: 2139095040, FreeBytes: 1069547520, ExtentSize: 4194304, Missing: 1}, g)
	for _, bad := range []string{
		"", "{}", `{"report":[{"vg":[]}]}`, strings.Replace(text, "1069547520", "9069547520", 1), strings.Replace(text, `"4194304"`, `"x"`, 1),
	} {
		_, err := parseGroup([]byte(bad))
		require.ErrorIs(t, err, ErrReport, bad)
	}
}

func FuzzVolumes(f *testing.F) {
	f.Add([]byte(lvsReport))
	f.Add([]byte(`{"report":[{"lv":[{}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseVolumes(text)
		if err != nil {
			require.ErrorIs(t, err, ErrReport)
			return
		}
		for _, v := range list {
			require.True(t, ValidName(v.Name))
			require.GreaterOrEqual(t, v.SizeBytes, int64(0))
			require.Positive(t, v.ExtentBytes)
			require.LessOrEqual(t, v.DataPercent, 100.0)
			_, _, _, _ = v.Type(), v.Active(), v.Open(), v.Health()
		}
	})
}

func FuzzFilter(f *testing.F) {
	f.Add(`global_filter=["a|.*|"]`)
	f.Add(`global_filter="r|^/dev/x|"`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseFilter(text)
		if err != nil {
			return
		}
		for _, p := range list {
			require.True(t, validPattern(p), "%q cannot leave its quotes", p)
		}
	})
}
