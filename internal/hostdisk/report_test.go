package hostdisk

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGroups(t *testing.T) {
	vgs := `{"report":[{"vg":[{"vg_name":"slow","vg_size":"8000","vg_free":"1000","lv_count":"3"},{"vg_name":"fast","vg_size":"4096","vg_free":"96","lv_count":"0"}]}]}`
	pvs := `{"report":[{"pv":[{"pv_name":"/dev/sdq","pv_size":"8000","pv_free":"1000","vg_name":"slow"},
		{"pv_name":"[unknown]","pv_size":"1","pv_free":"1","vg_name":"slow"},{"pv_name":"/dev/sdp1","pv_size":"4096","pv_free":"96","vg_name":"fast"},
		{"pv_name":"/dev/sdz","pv_size":"5","pv_free":"5","vg_name":""}]}]}`
	groups, err := ParseGroups(vgs, pvs)
	require.NoError(t, err)
	require.Equal(t, []VolumeGroup{
		{"fast", 4096, 96, 0, []PhysicalVolume{{"/dev/sdp1", "fast", 4096, 96}}},
		{"slow", 8000, 1000, 3, []PhysicalVolume{{"/dev/sdq", "slow", 8000, 1000}}},
	}, groups)
	groups, err = ParseGroups("", "")
	require.NoError(t, err)
	require.Empty(t, groups)
	_, err = ParseGroups("{", "")
	require.Error(t, err)
}

func TestThinPools(t *testing.T) {
	pools, err := ParseThinPools(`{"report":[{"lv":[
		{"vg_name":"fast","lv_name":"plain","lv_size":"5","lv_attr":"-wi-a-----","data_percent":"","metadata_percent":"","lv_metadata_size":"","lv_tags":"","lv_time":"1"},
		{"vg_name":"fast","lv_name":"pool","lv_size":"1000","lv_attr":"twi-aotz--","data_percent":"25.50","metadata_percent":"10.00","lv_metadata_size":"200","lv_tags":"a,b","lv_time":"1700000000"}]}]}`)
	require.NoError(t, err)
	require.Len(t, pools, 1)
	p := pools[0]
	require.Equal(t, ThinPool{"fast", "pool", 1000, 200, 25.5, 10, true, "t", "a", "a,b", 1700000000}, p)
	require.EqualValues(t, 255, p.UsedBytes())
	require.EqualValues(t, 20, p.MetaUsedBytes())
}

func TestPools(t *testing.T) {
	require.Equal(t, []Dataset{{"tank", 900, 100}, {"tank/data", 900, 10}},
		ParseDatasets("tank\t900\t100\ntank/data\t900\t10\ntank/subvol-7-disk-0\t1\t1\ntank/basevol-7-disk-1\t1\t1\nbad line\n"))
	require.Equal(t, []Pool{{"tank", 1000, 100, 900, 4, 1.25, "ONLINE"}}, ParsePools("tank\t1000\t100\t900\t4\t1.25\tONLINE\nx\n"))
}

const poolStatus = `  pool: tank
 state: DEGRADED
status: One or more devices could not be used.
	Sufficient replicas exist.
action: Attach the missing device.
  scan: scrub repaired 0B in 00:00:01 with 0 errors
config:

	NAME             STATE     READ WRITE CKSUM
	tank             DEGRADED     0     0     0
	  mirror-0       DEGRADED     0     0     0
	    /dev/vdx1    ONLINE       0     0  1.5K
	    /dev/vdy1    UNAVAIL      3     0     0  was /dev/vdz1
	logs
	  /dev/vdl       ONLINE       0     0     0
	spares
	  /dev/vds       AVAIL

errors: No known data errors
`

func TestPoolStatus(t *testing.T) {
	p := ParsePoolStatus(poolStatus)
	require.Equal(t, "tank", p.Name)
	require.Equal(t, "DEGRADED", p.State)
	require.Equal(t, "One or more devices could not be used.\nSufficient replicas exist.", p.Status)
	require.Equal(t, "No known data errors", p.Errors)
	require.Len(t, p.Devices, 3)
	require.Equal(t, "mirror-0", p.Devices[0].Children[0].Name)
	disks := p.Devices[0].Children[0].Children
	require.Equal(t, PoolDevice{Name: "/dev/vdx1", State: "ONLINE", Counted: true, Cksum: 1500}, disks[0])
	require.Equal(t, "was /dev/vdz1", disks[1].Message)
	require.EqualValues(t, 3, disks[1].Read)
	require.Equal(t, "/dev/vdl", p.Devices[1].Children[0].Name)
	require.Equal(t, PoolDevice{Name: "/dev/vds", State: "AVAIL"}, p.Devices[2].Children[0])
}

func FuzzReports(f *testing.F) {
	f.Add(poolStatus)
	f.Add(`{"report":[{"lv":[{"lv_attr":"twi"}]}]}`)
	f.Add("\t  \t\n a: b\nconfig:\n\t\t\t\n\tx\n\t              y")
	f.Fuzz(func(t *testing.T, text string) {
		ParsePoolStatus(text)
		ParsePools(text)
		ParseDatasets(text)
		if groups, err := ParseGroups(text, text); err == nil {
			for _, g := range groups {
				require.NotEmpty(t, g.Name)
			}
		}
		_, _ = ParseThinPools(text)
	})
}
