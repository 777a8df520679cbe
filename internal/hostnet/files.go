package hostnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

const (
	fileMode = 0o644
	lockWait = 10 * time.Second // for another writer of the pending file
	lockPoll = 20 * time.Millisecond
)

// pendingFile holds the whole configuration that is not applied yet.
func (s *Service) pendingFile() string { return s.file + ".new" }

// stored is a configuration file as it was read.
type stored struct {
	text    string
	there   bool
	changed time.Time
}

func readStored(path string) (stored, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || path == "" || errors.Is(err, unix.ENOTDIR) {
		return stored{}, nil
	}
	if err != nil {
		return stored{}, err
	}
	out := stored{text: string(data), there: true}
	if st, err := os.Stat(path); err == nil {
		out.changed = st.ModTime()
	}
	return out, nil
}

// read reads the active and the pending file.
func (s *Service) read() (active, pending stored, err error) {
	if s.file == "" {
		return stored{}, stored{}, nil
	}
	if active, err = readStored(s.file); err != nil {
		return active, pending, err
	}
	pending, err = readStored(s.pendingFile())
	return active, pending, err
}

// current is the configuration that readers see and writers start from: the pending one, if there is one.
func (s *Service) current(ctx context.Context) (*interfaces.File, interfaces.Live, error) {
	active, pending, err := s.read()
	if err != nil {
		return nil, interfaces.Live{}, err
	}
	live, err := s.live(ctx)
	if err != nil {
		return nil, live, err
	}
	text := active.text
	if pending.there {
		text = pending.text
	}
	return interfaces.Parse(text, live), live, nil
}

// live is what the kernel knows.
func (s *Service) live(ctx context.Context) (interfaces.Live, error) {
	links, err := s.links(ctx)
	if err != nil {
		return interfaces.Live{}, err
	}
	return liveOf(links), nil
}

func liveOf(links []netkit.Link) interfaces.Live {
	var live interfaces.Live
	for _, l := range links {
		live.Links = append(live.Links, interfaces.Link{Name: l.Name, AltNames: l.AltNames, Physical: l.Kind == netkit.KindPhysical && l.Name != "lo"})
		if l.Up {
			live.Up = append(live.Up, l.Name)
		}
	}
	return live
}

// edit changes the pending configuration under the lock that Proxmox VE's tools take, too. A refusal leaves it as it was.
func (s *Service) edit(ctx context.Context, change func(f *interfaces.File) error) error {
	if s.file == "" {
		return call.Errorf("this node has no interfaces file")
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	f, _, err := s.current(ctx)
	if err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	text, err := f.Format()
	if err != nil {
		return call.Errorf("%w", err)
	}
	if err := s.noteStaged(text); err != nil {
		return err
	}
	return atomicfile.Write(s.pendingFile(), []byte(text), fileMode)
}

// lock takes the lock of the pending file.
func (s *Service) lock(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(filepath.Dir(s.file), ".pve-interfaces.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			f.Close()
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Close()
			return nil, call.Errorf("can't lock file '%s' - got timeout", path)
		}
	}
}

// discard removes the pending file; none is fine.
func (s *Service) discard() error {
	if s.file == "" {
		return nil
	}
	if err := os.Remove(s.pendingFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// changesText shows what is pending, empty if nothing is.
func (s *Service) changesText(active, pending stored) string {
	if !pending.there || pending.text == active.text {
		return ""
	}
	head := func(path string, f stored) string {
		return fmt.Sprintf("%s\t%s", path, f.changed.Format("2006-01-02 15:04:05.000000000 -0700"))
	}
	return unifiedDiff(head(s.file, active), head(s.pendingFile(), pending), active.text, pending.text)
}

const learningOffKey = "bridge-disable-mac-learning"

// learningOff tells whether the configuration says that a bridge does not learn the addresses of guests.
func (s *Service) learningOff(bridge string) (bool, error) {
	active, pending, err := s.read()
	if err != nil {
		return false, err
	}
	text := active.text
	if pending.there {
		text = pending.text
	}
	if !strings.Contains(text, learningOffKey) { // as nearly always
		return false, nil
	}
	v := interfaces.Parse(text, interfaces.Live{}).Ifaces[bridge].Text(learningOffKey)
	return v != "" && v != "0", nil
}
