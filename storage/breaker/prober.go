package breaker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/storage"
)

// maxAnswer bounds what is read of a child.
const maxAnswer = 64 << 10

// killWait is how long a killed child is waited for before it is left behind.
const killWait = time.Second

// Request is what a child process is asked.
type Request struct {
	Config   storage.Config
	Activate bool // activate the storage first
}

// answer is what the child says.
type answer struct {
	Usage storage.Usage
	Error string
	Class string
}

var classes = map[string]error{
	"unavailable": storage.ErrUnavailable, "unsafe": storage.ErrUnsafe, "unsupported": errors.ErrUnsupported,
	"not found": storage.ErrNotFound, "bad id": storage.ErrBadID,
}

// Prober asks for the usage of storages in child processes, which are killed when their time is over. A child that cannot be
// killed, because the kernel holds it, is left behind; while it lives, its storage is not probed again. So there is at most
// one child per storage. Safe for concurrent use.
type Prober struct {
	argv []string

	mu   sync.Mutex // guards left and busy; not held while a child runs
	busy map[string]bool
	left map[string]abandoned
	wg   sync.WaitGroup // those who wait for children left behind
}

type abandoned struct {
	pid   int
	since time.Time
}

// NewProber returns a Prober that runs argv, whose program calls [Serve]: typically /proc/self/exe and a hidden word.
func NewProber(argv ...string) (*Prober, error) {
	if len(argv) == 0 {
		return nil, errors.New("breaker: no program for probes")
	}
	return &Prober{argv: argv, busy: map[string]bool{}, left: map[string]abandoned{}}, nil
}

// Probe asks for the usage of a storage. It returns when ctx ends or a second later at most. ErrUnavailable: the storage or
// the child did not answer, an earlier child still hangs, or a probe of this storage is under way.
func (p *Prober) Probe(ctx context.Context, req Request) (storage.Usage, error) {
	if err := p.begin(req.Config.ID); err != nil {
		return storage.Usage{}, &storage.OpError{Op: "probe", Driver: req.Config.Type, Err: err}
	}
	u, err := p.ask(ctx, req)
	if err != nil {
		return storage.Usage{}, &storage.OpError{Op: "probe", Driver: req.Config.Type, Err: err}
	}
	return u, nil
}

// Stuck says how many children were left behind and still live.
func (p *Prober) Stuck() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.left)
}

// Close waits for children left behind, until ctx ends.
func (p *Prober) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() { p.wg.Wait(); close(done) }() // ends with the last child
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("breaker: %d probes still hang: %w", p.Stuck(), context.Cause(ctx))
	}
}

func (p *Prober) begin(id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.left[id]; ok {
		return fmt.Errorf("%w: probe (process %d) hangs since %s", storage.ErrUnavailable, a.pid, a.since.UTC().Format(time.RFC3339))
	}
	if p.busy[id] {
		return fmt.Errorf("%w: a probe is under way", storage.ErrUnavailable)
	}
	p.busy[id] = true
	return nil
}

func (p *Prober) end(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, id)
	delete(p.left, id)
}

func (p *Prober) ask(ctx context.Context, req Request) (storage.Usage, error) {
	id := req.Config.ID
	text, err := json.Marshal(req)
	if err != nil {
		p.end(id)
		return storage.Usage{}, err
	}
	cmd := exec.Command(p.argv[0], p.argv[1:]...) // by hand instead of CommandContext: Wait may never return
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it runs dies with it
	cmd.Stdin = bytes.NewReader(text)
	cmd.WaitDelay = killWait
	var out, stderr limited
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		p.end(id)
		return storage.Usage{}, err
	}
	began := time.Now()
	exited := make(chan error, 1)
	p.wg.Go(func() {
		err := cmd.Wait()
		p.end(id)
		exited <- err
	})
	select {
	case err := <-exited:
		return decode(out.b.Bytes(), stderr.b.String(), err)
	case <-ctx.Done():
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	wait := time.NewTimer(killWait)
	defer wait.Stop()
	select {
	case <-exited:
	case <-wait.C:
		p.mu.Lock()
		if p.busy[id] { // not just gone
			p.left[id] = abandoned{cmd.Process.Pid, began}
		}
		p.mu.Unlock()
	}
	return storage.Usage{}, fmt.Errorf("%w: probe: %w", storage.ErrUnavailable, context.Cause(ctx))
}

func decode(out []byte, stderr string, err error) (storage.Usage, error) {
	if err != nil {
		return storage.Usage{}, fmt.Errorf("%w: probe: %w: %s", storage.ErrUnavailable, err, stderr)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		return storage.Usage{}, fmt.Errorf("%w: probe: %w", storage.ErrUnavailable, err)
	}
	if a.Error != "" {
		if class, ok := classes[a.Class]; ok {
			return storage.Usage{}, &remoteError{a.Error, class}
		}
		return storage.Usage{}, errors.New(a.Error)
	}
	return a.Usage, nil
}

// remoteError is what a child said, with the class that it named.
type remoteError struct {
	text  string
	class error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.class }

// Serve is the child: it reads a Request from in, opens the storage, and writes the answer to out. An error is one of the
// pipes; trouble with the storage is part of the answer.
func Serve(ctx context.Context, in io.Reader, out io.Writer, open func(storage.Config) (storage.Driver, error)) error {
	var req Request
	if err := json.NewDecoder(io.LimitReader(in, 1<<20)).Decode(&req); err != nil {
		return fmt.Errorf("breaker: request: %w", err)
	}
	var a answer
	u, err := serve(ctx, req, open)
	if err != nil {
		a.Error = err.Error()
		for name, class := range classes {
			if errors.Is(err, class) {
				a.Class = name
			}
		}
	}
	a.Usage = u
	return json.NewEncoder(out).Encode(a)
}

func serve(ctx context.Context, req Request, open func(storage.Config) (storage.Driver, error)) (storage.Usage, error) {
	d, err := open(req.Config)
	if err != nil {
		return storage.Usage{}, err
	}
	if a, ok := storage.As[storage.Activator](d); ok && req.Activate {
		if err := a.Activate(ctx); err != nil {
			return storage.Usage{}, err
		}
	}
	return d.Usage(ctx)
}

// limited keeps the first bytes written to it and swallows the rest.
type limited struct{ b bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxAnswer - l.b.Len(); room > 0 {
		l.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
