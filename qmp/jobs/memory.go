package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// SetBalloon asks the guest to get along with so many bytes of memory, and waits until it does. It needs a virtio-balloon
// device, and a guest with a driver: without one only ctx ends the waiting, and the wish stays. It returns what the guest
// has at the end, in bytes. See qapi/machine.json: balloon, BALLOON_CHANGE.
func SetBalloon(ctx context.Context, c *qmp.Client, sizeBytes int64) (int64, error) {
	sub := c.Subscribe(qapi.EventBalloonChange)
	defer sub.Close()
	if err := qapi.Balloon(ctx, c, sizeBytes); err != nil {
		return 0, err
	}
	info, err := qapi.QueryBalloon(ctx, c)
	if err != nil {
		return 0, err
	}
	const page = 4096 // the balloon's unit, whatever the guest's is
	actual := info.Actual
	for actual/page != sizeBytes/page {
		e, err := sub.Next(ctx, nil)
		if err != nil {
			return actual, err
		}
		data, err := qapi.EventAs[qapi.BalloonChangeEvent](e)
		if err != nil {
			return actual, err
		}
		actual = data.Actual
	}
	return actual, nil
}

// DirtyRate measures for a number of whole seconds, 1 to 60, how fast the guest writes to its memory, in MiB per second.
// QEMU raises no event at the end, so this waits as long as the measurement lasts, and asks again each 20 ms from then on.
// The end of ctx ends only the waiting. See qapi/migration.json: calc-dirty-rate. Since QEMU 5.2.
func DirtyRate(ctx context.Context, c *qmp.Client, seconds int) (int64, error) {
	if err := qapi.CalcDirtyRate(ctx, c, &qapi.CalcDirtyRateArgs{CalcTime: int64(seconds)}); err != nil {
		return 0, err
	}
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("jobs: dirty rate: %w", ctx.Err())
		}
		info, err := qapi.QueryDirtyRate(ctx, c, nil)
		switch {
		case err != nil:
			return 0, err
		case info.Status == qapi.DirtyRateStatusMeasured && info.DirtyRate != nil:
			return *info.DirtyRate, nil
		}
		timer.Reset(20 * time.Millisecond)
	}
}
