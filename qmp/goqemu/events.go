package goqemu

import (
	"context"
	"errors"

	dgqmp "github.com/digitalocean/go-qemu/qmp"

	"github.com/turtacn/go-proxmox/qmp"
)

// Events streams the events from now on until ctx or the session ends; then the channel is closed. Each call gets a stream
// of its own. What a slow reader leaves is bounded by the client's options: the oldest events go.
func (m *Monitor) Events(ctx context.Context) (<-chan dgqmp.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.now
	if s == nil {
		return nil, ErrNotConnected
	}
	sub := s.client.Subscribe()
	out := make(chan dgqmp.Event)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	s.streams.Go(func() {
		defer close(out)
		defer sub.Close()
		defer cancel()
		defer stop()
		forward(ctx, sub, out)
	})
	return out, nil
}

func forward(ctx context.Context, sub *qmp.Subscription, out chan<- dgqmp.Event) {
	for {
		e, err := sub.Next(ctx, nil)
		if _, overflow := errors.AsType[*qmp.OverflowError](err); overflow {
			continue // go-qemu has no way to tell
		}
		if err != nil {
			return
		}
		select {
		case out <- convert(e):
		case <-ctx.Done():
			return
		}
	}
}

func convert(e qmp.Event) dgqmp.Event {
	out := dgqmp.Event{Event: e.Name}
	_ = e.Decode(&out.Data)                                    // the client has checked the JSON; what is no object leaves no data
	out.Timestamp.Seconds, out.Timestamp.Microseconds = -1, -1 // as QEMU says when its clock fails
	if !e.Time.IsZero() {
		out.Timestamp.Seconds, out.Timestamp.Microseconds = e.Time.Unix(), int64(e.Time.Nanosecond()/1000)
	}
	return out
}
