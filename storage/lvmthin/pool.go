package lvmthin

import (
	"context"
	"fmt"
	"sync"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
)

// Level is how much a pool needs somebody's attention.
type Level int

// The levels of pools.
const (
	Sound Level = iota
	Warn        // beyond Options.WarnPercent
	Full        // beyond what calls may take, or failed: guests are about to stop, or have
)

// Pool is the state of a thin pool.
type Pool struct {
	Group, Name                  string
	SizeBytes                    int64
	DataPercent, MetadataPercent float64
	Level                        Level
	// Health is empty, or what lvm2 says about a pool that is not sound: "failed", "out of data space", "metadata read only".
	Health string
}

// Pool describes the thin pool. storage.ErrUnavailable.
func (d *Driver) Pool(ctx context.Context) (Pool, error) {
	lv, err := d.activePool(ctx)
	if err != nil {
		return Pool{}, d.fail("look at pool", "", err)
	}
	return d.judge(&lv), nil
}

// activePool reads the pool and activates it if need be.
func (d *Driver) activePool(ctx context.Context) (lvmcmd.Volume, error) {
	lv, err := d.group.Volume(ctx, d.pool)
	if err == nil && lv.Type() != 't' {
		err = fmt.Errorf("%s is no thin pool", d.group.LV(d.pool))
	}
	if err == nil && !lv.Active() {
		if err = d.group.Tool.Change(ctx, "lvchange", "-ay", "-K", "--", d.group.LV(d.pool)); err == nil {
			lv, err = d.group.Volume(ctx, d.pool)
		}
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return lv, err
}

// judge finds the level of a pool and raises the alarm if that is another one than before.
func (d *Driver) judge(lv *lvmcmd.Volume) Pool {
	p := Pool{Group: d.group.Name, Name: d.pool, SizeBytes: lv.SizeBytes, DataPercent: max(0, lv.DataPercent), MetadataPercent: max(0, lv.MetadataPercent)}
	switch lv.Health() {
	case 'F':
		p.Health = "failed"
	case 'D':
		p.Health = "out of data space"
	case 'M':
		p.Health = "metadata read only"
	}
	switch {
	case p.Health != "" || p.DataPercent >= d.opt.RefuseDataPercent || p.MetadataPercent >= d.opt.RefuseMetadataPercent:
		p.Level = Full
	case p.DataPercent >= d.opt.WarnPercent || p.MetadataPercent >= d.opt.WarnPercent:
		p.Level = Warn
	}
	if d.state.changed(p.Level) && d.opt.Alarm != nil {
		d.opt.Alarm(p)
	}
	return p
}

// alarm remembers the level that was told last.
type alarm struct {
	mu   sync.Mutex // guards told
	told Level
}

func (a *alarm) changed(l Level) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := a.told != l
	a.told = l
	return changed
}

// room returns the error of calls that would take more of a pool that has no more to give.
func (d *Driver) room(ctx context.Context, pool *lvmcmd.Volume) error {
	if !pool.Active() {
		lv, err := d.activePool(ctx)
		if err != nil {
			return err
		}
		*pool = lv
	}
	if !pool.Zeroes() && !d.opt.AllowStale {
		return fmt.Errorf("thin pool %s does not zero new blocks (lvchange -Zy makes it): %w", d.group.LV(d.pool), storage.ErrUnsafe)
	}
	return d.full(pool)
}

// full returns storage.ErrNoSpace for a pool that has no more to give.
func (d *Driver) full(pool *lvmcmd.Volume) error {
	p := d.judge(pool)
	if p.Level != Full {
		return nil
	}
	return fmt.Errorf("thin pool %s: data %.1f %%, metadata %.1f %%, %s: %w", d.group.LV(d.pool), p.DataPercent, p.MetadataPercent,
		healthText(p.Health), storage.ErrNoSpace)
}

func healthText(h string) string {
	if h == "" {
		return "nearly full"
	}
	return h
}

// Usage implements storage.Driver: the pool's data.
func (d *Driver) Usage(ctx context.Context) (storage.Usage, error) {
	p, err := d.Pool(ctx)
	if err != nil {
		return storage.Usage{}, d.fail("usage", "", err)
	}
	used := int64(float64(p.SizeBytes) * p.DataPercent / 100)
	return storage.Usage{TotalBytes: p.SizeBytes, UsedBytes: used, AvailBytes: p.SizeBytes - used}, nil
}
