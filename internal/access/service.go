package access

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access/password"
	"github.com/turtacn/go-proxmox/internal/access/realm"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

// UserConfig is the content of user.cfg.
type UserConfig = usercfg.Config

// Keys of the store that this package writes; others put conditions on them, nothing else.
const (
	UserKey    = "/pve/user.cfg"
	domainsKey = "/pve/domains.cfg"
	shadowKey  = "/pve/priv/shadow.cfg" // realm pve
	pamKey     = "/pve/priv/pam.cfg"    // realm pam; same format
	tokenKey   = "/pve/priv/token.cfg"
	authKey    = "/pve/priv/authkey"
	tfaKey     = "/pve/priv/tfa.cfg"
	realmDir   = "/pve/priv/realm/" // bind passwords, REALM.pw
	prefix     = "/pve/"
)

// Clock is time as the service sees it.
type Clock interface {
	Now() time.Time
	// Sleep returns after d or when ctx ends.
	Sleep(ctx context.Context, d time.Duration)
}

// Options of [New]. Nil works.
type Options struct {
	Clock       Clock            // default: the machine's
	Rand        io.Reader        // default: crypto/rand
	Logger      *slog.Logger     // failed and successful logins go here; default: discarded
	Passwords   password.Options // costs of new hashes, computations at a time
	ClusterName string           // shown at login to those who may see it; empty: not in a cluster
	// LoggedIn and PasswordChanged are told of a user's login, and of a new password. Default: nobody is.
	LoggedIn, PasswordChanged func(userID string)
	// FailureDelay is how late a refused login is answered, counted from its start. Default 3 s; negative: at once.
	FailureDelay time.Duration
	// MaxDelayed bounds how many refusals wait at a time; those beyond are answered at once. Default 512.
	MaxDelayed int
	// Burst and Refill limit failed logins from one address (an IPv6 /64): after Burst failures every attempt is refused
	// unlooked at, until one more is allowed each Refill. Defaults 20 and 3 s.
	Burst  int
	Refill time.Duration
}

// Service answers the questions of this package. See the package's documentation.
type Service struct {
	store   cluster.Store
	log     *slog.Logger
	clock   Clock
	rand    io.Reader
	hasher  *password.Hasher
	limit   *limiter
	delayed chan struct{} // one element for each refusal that waits
	opts    Options

	writing chan struct{} // held by the one change under way: changes of this process take turns instead of conflicting
	live    atomic.Bool   // Run has caught up with the store: what is cached is current

	users   cached[*usercfg.Evaluator]
	domains cached[*realm.Config]
	shadow  cached[secrets]
	pam     cached[secrets]
	tokens  cached[tokenSecrets]
	keys    cached[*ticket.Keys]
	tfa     cached[secondFactors]
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (o *Options) withDefaults() (Options, error) {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Clock == nil {
		d.Clock = systemClock{}
	}
	if d.Rand == nil {
		d.Rand = rand.Reader
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	for _, hook := range []*func(string){&d.LoggedIn, &d.PasswordChanged} {
		if *hook == nil {
			*hook = func(string) {}
		}
	}
	if d.Passwords.Rand == nil {
		d.Passwords.Rand = d.Rand
	}
	d.FailureDelay = orDefault(d.FailureDelay, 3*time.Second)
	d.MaxDelayed = orDefault(d.MaxDelayed, 512)
	d.Burst = orDefault(d.Burst, 20)
	d.Refill = orDefault(d.Refill, 3*time.Second)
	if d.MaxDelayed < 0 || d.Burst < 0 || d.Refill < 0 {
		return d, fmt.Errorf("access: negative limit in options")
	}
	return d, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// New returns the service on a store. It reads nothing yet; an empty store has root@pam without a password.
func New(store cluster.Store, opts *Options) (*Service, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	hasher, err := password.New(&o.Passwords)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	s := &Service{
		store: store, log: o.Logger, clock: o.Clock, rand: o.Rand, hasher: hasher, opts: o,
		limit:   newLimiter(o.Burst, o.Refill),
		delayed: make(chan struct{}, o.MaxDelayed),
		writing: make(chan struct{}, 1),
	}
	s.users.open(s, UserKey, func(text string) (*usercfg.Evaluator, error) {
		cfg, warnings := usercfg.Parse(text)
		s.warn(UserKey, warnings)
		return usercfg.NewEvaluator(cfg), nil
	})
	s.domains.open(s, domainsKey, func(text string) (*realm.Config, error) {
		cfg, warnings := realm.Parse(text)
		s.warn(domainsKey, warnings)
		return cfg, nil
	})
	s.shadow.open(s, shadowKey, s.parseSecrets(shadowKey))
	s.pam.open(s, pamKey, s.parseSecrets(pamKey))
	s.tokens.open(s, tokenKey, func(text string) (tokenSecrets, error) {
		t, warnings := parseTokenSecrets(text)
		s.warn(tokenKey, warnings)
		return t, nil
	})
	s.keys.open(s, authKey, parseKeys)
	s.tfa.open(s, tfaKey, parseSecondFactors)
	return s, nil
}

func (s *Service) warn(key string, warnings []string) {
	for _, w := range warnings {
		s.log.Warn("configuration", "key", key, "warning", w)
	}
}

func (s *Service) parseSecrets(key string) func(string) (secrets, error) {
	return func(text string) (secrets, error) {
		sec, warnings := parseSecrets(text)
		s.warn(key, warnings)
		return sec, nil
	}
}

// slots are all caches, for the watch.
func (s *Service) slots() []slot {
	return []slot{&s.users, &s.domains, &s.shadow, &s.pam, &s.tokens, &s.keys, &s.tfa}
}

// UserConfig returns the present content of user.cfg. It is shared: read only.
func (s *Service) UserConfig(ctx context.Context) (*UserConfig, error) {
	e, err := s.users.get(ctx)
	if err != nil {
		return nil, err
	}
	return e.Config(), nil
}
