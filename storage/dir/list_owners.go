package dir

import (
	"context"
	"path"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/turtacn/go-proxmox/storage"
)

// ownersAtOnce is how many folders of guests are one piece of work, and readersMax bounds how many pieces are under way: a list
// mostly waits for the kernel, or for a server.
const (
	ownersAtOnce = 64
	readersMax   = 4
)

// piece is what was found in some folders of guests.
type piece struct {
	volumes []storage.Volume
	err     error
}

// walkOwners emits the images of guests in the order of owners. Large storages are read by several goroutines, all of which
// have ended when it returns.
func (d *Driver) walkOwners(ctx context.Context, r *root, owners []string, emit func(storage.Volume) error) error {
	read := func(ctx context.Context, owners []string, emit func(storage.Volume) error) error {
		for _, owner := range owners {
			if err := d.walkFolder(ctx, r, path.Join(d.folder(storage.Images), owner), owner+"/", emit); err != nil {
				return err
			}
		}
		return nil
	}
	readers := min(readersMax, runtime.GOMAXPROCS(0))
	if len(owners) <= ownersAtOnce || readers == 1 {
		return read(ctx, owners, emit)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	pieces := make([]chan piece, (len(owners)+ownersAtOnce-1)/ownersAtOnce)
	for i := range pieces {
		pieces[i] = make(chan piece, 1)
	}
	var next atomic.Int64
	for range readers {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(pieces); i = int(next.Add(1)) - 1 {
				var p piece
				p.err = read(ctx, owners[i*ownersAtOnce:min((i+1)*ownersAtOnce, len(owners))], func(v storage.Volume) error {
					p.volumes = append(p.volumes, v)
					return nil
				})
				pieces[i] <- p
			}
		})
	}
	for _, found := range pieces {
		p := <-found
		for _, v := range p.volumes {
			if err := emit(v); err != nil {
				return err
			}
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}
