package proxmoxapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Serve answers connections of l until ctx ends or l fails, and closes l. With a config it speaks TLS 1.2 or newer and
// redirects what comes in plain; a nil config means plain HTTP, for tests and for a front that does TLS. Only HTTP/1.1
// is offered, since newer versions have no reason phrases.
//
// When ctx ends, streams end at once and other requests have Options.ShutdownGrace to finish; then their contexts end and
// all connections are closed. Serve returns nil when every goroutine it started is gone; an error if a function goes on for
// another grace although its context ended. It may run for several listeners at a time.
func (h *Handler) Serve(ctx context.Context, l net.Listener, config *tls.Config) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	front := newFront(ctx, l, config, &h.opts)
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: h.opts.HeaderTimeout,
		IdleTimeout:       h.opts.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes + 1, // net/http adds 4 KiB; headerTooBig is the exact limit
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(h.opts.Logger.Handler(), slog.LevelDebug),
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2
	}
	var started sync.WaitGroup
	started.Go(front.accept)
	served := make(chan error, 1)
	started.Go(func() { served <- srv.Serve(front) })

	var failure error
	select {
	case <-ctx.Done():
	case err := <-served:
		if failure = front.failure(); failure == nil {
			failure = err
		}
		failure = fmt.Errorf("serve %s: %w", l.Addr(), failure)
	}
	front.Close()
	h.settle(ctx, srv, front)
	endRequests()
	srv.Close()
	front.closeConns()
	started.Wait()
	select {
	case <-front.idle():
	case <-time.After(h.opts.ShutdownGrace):
		failure = errors.Join(failure, fmt.Errorf("serve %s: functions go on after the end of their context", l.Addr()))
	}
	return failure
}

// settle gives running requests their grace, those on connections that net/http gave away among them.
func (h *Handler) settle(ctx context.Context, srv *http.Server, front *front) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.opts.ShutdownGrace)
	defer cancel()
	err := srv.Shutdown(ctx)
	if err == nil || errors.Is(err, net.ErrClosed) {
		select {
		case <-front.idle():
			return
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	h.opts.Logger.Warn("requests are cut off by shutdown", "error", err)
}
