package prune_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage/prune"
	"github.com/turtacn/go-proxmox/storage/volid"
)

func Example() {
	keep, _ := prune.ParseKeep("keep-last=1,keep-daily=2")
	fmt.Println(keep)
	for _, m := range prune.Plan([]prune.Backup{
		{Volume: "local:backup/vzdump-qemu-100-2024_05_01-22_00_00.vma.zst"},
		{Volume: "local:backup/vzdump-qemu-100-2024_05_02-22_00_00.vma.zst"},
		{Volume: "local:backup/vzdump-qemu-100-2024_05_03-08_00_00.vma.zst"},
		{Volume: "local:backup/vzdump-qemu-100-2024_05_03-22_00_00.vma.zst"},
		{Volume: "local:backup/vzdump-qemu-100-2024_04_01-22_00_00.vma.zst"},
		{Volume: "local:backup/vzdump-qemu-100-2024_01_01-22_00_00.vma.zst", Protected: true},
		{Volume: "local:backup/vzdump-qemu-100-golden.vma.zst"},
	}, keep, time.UTC) {
		fmt.Println(m)
	}
	// Output:
	// keep-last=1,keep-daily=2
	// keep
	// keep
	// remove
	// keep
	// remove
	// protected
	// renamed
}

func at(guest string, vmid int, s string) prune.Backup {
	return prune.Backup{Volume: fmt.Sprintf("s:backup/vzdump-%s-%d-%s.tar.gz", guest, vmid, strings.NewReplacer(" ", "-", ":", "_", ".", "_").Replace(s))}
}

func TestPlanPeriods(t *testing.T) {
	list := []prune.Backup{
		at("qemu", 100, "2023.12.30 10:00:00"), // 0: a Saturday, ISO week 52 of 2023
		at("qemu", 100, "2023.12.31 10:00:00"), // 1: Sunday, the same week
		at("qemu", 100, "2024.01.01 09:10:00"), // 2: Monday, week 1
		at("qemu", 100, "2024.01.01 09:50:00"), // 3: same hour
		at("qemu", 100, "2024.01.02 09:50:00"), // 4
	}
	for _, c := range []struct {
		keep prune.Keep
		want string // one letter for each of the list
	}{
		{prune.Keep{}, "kkkkk"},
		{prune.Keep{All: true}, "kkkkk"},
		{prune.Keep{Last: 2}, "rrrkk"},
		{prune.Keep{Last: 9}, "kkkkk"},
		{prune.Keep{Hourly: 2}, "rrrkk"},
		{prune.Keep{Hourly: 3}, "rkrkk"},
		{prune.Keep{Daily: 3}, "rkrkk"},
		{prune.Keep{Weekly: 2}, "rkrrk"},
		{prune.Keep{Monthly: 2}, "rkrrk"},
		{prune.Keep{Yearly: 1}, "rrrrk"},
		{prune.Keep{Yearly: 2}, "rkrrk"},
		{prune.Keep{Last: 1, Daily: 1}, "rrrkk"}, // the day of the last one is covered: another day is kept
		{prune.Keep{Daily: 1, Weekly: 1}, "rkrrk"},
	} {
		got := ""
		for _, m := range prune.Plan(list, c.keep, time.UTC) {
			got += string(m[0])
		}
		require.Equal(t, c.want, got, c.keep)
	}
}

func TestPlanGroups(t *testing.T) {
	list := []prune.Backup{at("qemu", 100, "2024.01.01 00:00:00"), at("lxc", 100, "2023.01.01 00:00:00"), at("qemu", 101, "2022.01.01 00:00:00")}
	require.Equal(t, []prune.Mark{prune.Kept, prune.Kept, prune.Kept}, prune.Plan(list, prune.Keep{Last: 1}, time.UTC))
	require.Equal(t, "lxc", prune.GuestOf(list[1].Volume))
	require.Equal(t, "unknown", prune.GuestOf("s:backup/other-lxc-100.tar"))
	require.Empty(t, prune.Plan(nil, prune.Keep{Last: 1}, time.UTC))
	// Protected goes before renamed, and neither takes a place.
	marks := prune.Plan([]prune.Backup{{Volume: "s:backup/x.tar", Protected: true}, {Volume: "s:backup/x.tar"}, list[0]}, prune.Keep{Last: 1}, time.UTC)
	require.Equal(t, []prune.Mark{prune.Protected, prune.Renamed, prune.Kept}, marks)
}

func TestParseKeep(t *testing.T) {
	for text, want := range map[string]prune.Keep{
		"": {}, "keep-all=1": {All: true}, "keep-all=0,keep-last=2": {Last: 2},
		"keep-hourly=1, keep-daily=2,keep-weekly=3,keep-monthly=4,keep-yearly=5": {Hourly: 1, Daily: 2, Weekly: 3, Monthly: 4, Yearly: 5},
	} {
		got, err := prune.ParseKeep(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		again, err := prune.ParseKeep(got.String())
		require.NoError(t, err)
		require.Equal(t, got.Everything(), again.Everything())
		require.Equal(t, got.String(), again.String())
	}
	for text, want := range map[string]string{
		"keep-all=1,keep-last=1": "keep-all cannot be set together with other options.", "keep-last": "'' is not a count", "keep-last=-1": "is not a count",
		"keep-lots=1": "unknown retention option 'keep-lots'", "keep-all=maybe": "not a boolean", "keep-last=1,keep-last=2": "duplicate",
	} {
		_, err := prune.ParseKeep(text)
		require.ErrorContains(t, err, want)
	}
}

// Whatever the list and the policy: the newest backup of a guest stays, no option keeps more than it counts, the marks
// do not depend on the order of the list.
func TestPlanProperties(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var list []prune.Backup
		for range rnd.IntN(30) {
			when := time.Date(2020+rnd.IntN(4), time.Month(1+rnd.IntN(12)), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60), 0, time.UTC)
			name, err := volid.NewBackupName("qemu", 100, when, "vma")
			require.NoError(t, err)
			list = append(list, prune.Backup{Volume: "s:backup/" + name})
		}
		k := prune.Keep{Last: rnd.IntN(4), Hourly: rnd.IntN(3), Daily: rnd.IntN(5), Weekly: rnd.IntN(3), Monthly: rnd.IntN(3), Yearly: rnd.IntN(3)}
		marks := prune.Plan(list, k, time.UTC)
		kept, newest, newestMark := 0, "", prune.Kept
		byName := map[string]prune.Mark{}
		for i, m := range marks {
			if m == prune.Kept {
				kept++
			}
			if list[i].Volume > newest {
				newest, newestMark = list[i].Volume, m
			}
			byName[list[i].Volume] = m
		}
		require.Equal(t, prune.Kept, newestMark)
		if !k.Everything() {
			require.LessOrEqual(t, kept, k.Last+k.Hourly+k.Daily+k.Weekly+k.Monthly+k.Yearly)
		}
		rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for i, m := range prune.Plan(list, k, time.UTC) {
			require.Equal(t, byName[list[i].Volume], m)
		}
	}
}
