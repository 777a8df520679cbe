package pveconf

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// RenderBytes prints a number of bytes with the largest unit that leaves at least one, and that many digits after the
// point: 1.00 KiB.
func RenderBytes(size float64, precision int) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for i < len(units)-1 && math.Abs(size) >= 1024 {
		size /= 1024
		i++
	}
	return strconv.FormatFloat(size, 'f', max(precision, 0), 64) + " " + units[i]
}

// RenderDuration prints seconds, rounded, in weeks, days, hours, minutes and seconds; parts that are zero are left out:
// "2w 3h 5s". Nothing is "0s".
func RenderDuration(seconds float64) string {
	rest := int64(math.Floor(seconds + 0.5))
	var parts []string
	for _, unit := range [...]struct {
		name    string
		seconds int64
	}{{"w", 7 * 86400}, {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		if n := rest / unit.seconds; n > 0 {
			parts = append(parts, strconv.FormatInt(n, 10)+unit.name)
			rest -= n * unit.seconds
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts, " ")
}

// RenderFraction prints a fraction of one as percentage: 0.5 is "50.00%".
func RenderFraction(f float64) string { return strconv.FormatFloat(f*100, 'f', 2, 64) + "%" }

// RenderTime prints Unix time as date and time in a location.
func RenderTime(unix int64, in *time.Location) string {
	return time.Unix(unix, 0).In(in).Format("2006-01-02 15:04:05")
}
