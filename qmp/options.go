package qmp

import (
	"errors"
	"log/slog"
	"time"
)

// Options adjust a client. Nil, and every zero field, means the stated default.
type Options struct {
	// MaxMessage is the greatest accepted size of one message in bytes: 32 MiB. A larger one ends the session.
	// The largest ordinary reply, query-qmp-schema, takes about 240 KB.
	MaxMessage int
	// MaxInFlight is how many commands may wait for their reply at once: 1024. Further ones wait in Do.
	// A command whose caller gave up counts until QEMU has answered it.
	MaxInFlight int
	// MaxEvents and MaxEventBytes bound what one subscription holds for its reader: 256 events and 1 MiB of data.
	MaxEvents, MaxEventBytes int
	// GreetingTimeout bounds the wait for the greeting beside the context: 10 s; negative means the context alone.
	// A monitor that serves another client is silent: the error then is ErrNoGreeting.
	GreetingTimeout time.Duration
	// OutOfBand names commands to send with exec-oob where the greeting offers it, such as "migrate-pause" or "yank".
	// Their replies may overtake others. Empty: the capability is not asked for.
	OutOfBand []string
	// Setup is called before the first message is read, with a client that can only Subscribe yet: the way not to miss
	// the first event.
	Setup func(*Client)
	// Logger receives debugging messages. Nil discards them.
	Logger *slog.Logger
}

const maxDepth = 1024 // nesting that QEMU's own JSON parser accepts (MAX_NESTING in qobject/json-parser)

func (o *Options) withDefaults() (Options, error) {
	var v Options
	if o != nil {
		v = *o
	}
	if v.MaxMessage < 0 || v.MaxInFlight < 0 || v.MaxEvents < 0 || v.MaxEventBytes < 0 {
		return v, errors.New("qmp: options: a limit is negative")
	}
	setDefault(&v.MaxMessage, 32<<20)
	setDefault(&v.MaxInFlight, 1024)
	setDefault(&v.MaxEvents, 256)
	setDefault(&v.MaxEventBytes, 1<<20)
	setDefault(&v.GreetingTimeout, 10*time.Second)
	if v.Logger == nil {
		v.Logger = slog.New(slog.DiscardHandler)
	}
	return v, nil
}

func setDefault[T comparable](p *T, v T) {
	if *p == *new(T) {
		*p = v
	}
}
