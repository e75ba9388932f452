package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// A process is the proxy while it runs.
type process struct {
	config  *config
	log     *slog.Logger
	limiter *limited
	base    *http.Transport
	proxy   *proxy
	ending  atomic.Bool // since a signal
	servers []*http.Server
	failed  chan error         // of the servers
	cut     context.CancelFunc // of all that is in flight
}

// start makes the limiter and listens. What it has started ends by serve.
func start(ctx context.Context, c *config, log *slog.Logger) (*process, error) {
	l, err := newLimiter(c, log)
	if err != nil {
		return nil, err
	}
	front, back, err := listeners(c)
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	p := &process{config: c, log: log, limiter: l, base: newBase(), failed: make(chan error, 2)}
	p.proxy = newProxy(l.Limiter, p.base, c.upstream, log)
	ctx, p.cut = context.WithCancel(ctx)
	p.listen(ctx, front, p.proxy)
	attrs := []any{"version", version(), "address", front.Addr().String(), "upstream", shown(c.upstream)}
	if back != nil {
		handler := admin(l.page, l.metrics, &p.ending)
		if a, err := netip.ParseAddrPort(back.Addr().String()); err == nil && a.Addr().IsLoopback() {
			handler = local(handler)
		}
		p.listen(ctx, back, handler)
		attrs = append(attrs, "admin", back.Addr().String())
	}
	log.Info("ratelimiter listens", attrs...)
	return p, nil
}

// shown is a URL without its query, which may have a key.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// listeners are for the programs and for the admin, which is nil if it is off.
func listeners(c *config) (front, back net.Listener, err error) {
	if front, err = net.Listen("tcp", c.listen); err != nil {
		return nil, nil, fmt.Errorf("-listen: %w", err)
	}
	if c.admin == "off" {
		return front, nil, nil
	}
	if back, err = net.Listen("tcp", c.admin); err != nil {
		front.Close()
		return nil, nil, fmt.Errorf("-admin: %w (give each process an address of its own, or off)", err)
	}
	return front, back, nil
}

// listen serves in a goroutine, which ends when the server is shut down. No time is set for
// bodies and responses: calls wait and streams last.
func (p *process) listen(ctx context.Context, l net.Listener, h http.Handler) {
	s := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       3 * time.Minute,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
	p.servers = append(p.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- err
		}
	}()
}

// serve returns after a signal to end, when all is over that was in flight.
func (p *process) serve(s *settings, ends, reloads <-chan os.Signal) error {
	for {
		select {
		case <-reloads:
			p.reload(s)
		case sig := <-ends:
			p.log.Info("shutting down", "signal", sig.String(), "grace", p.config.grace)
			return p.end(ends)
		case err := <-p.failed:
			p.log.Error("server failed", "error", err)
			return errors.Join(err, p.end(ends))
		}
	}
}

// reload sets the limits that the settings have now. If anything is wrong with them, nothing
// changes.
func (p *process) reload(s *settings) {
	if s.file == "" {
		p.log.Warn("there is no file to read again: start with -config")
		return
	}
	c, err := s.load()
	if err == nil {
		err = p.limiter.SetLimits(c.limitOptions()...)
	}
	if err != nil {
		p.log.Error("limits stay as they were", "error", err)
		return
	}
	p.log.Info("limits are set again", "file", s.file, "limits", len(c.limits))
	if other := p.config.restarts(c); len(other) > 0 {
		p.log.Warn("what else has changed needs a restart", "settings", strings.Join(other, ", "))
	}
}

// settling is how long the last settlements may take to get to Redis.
const settling = 3 * time.Second

// end shuts down: those who wait are rejected at once, those in flight may go on for the grace, or
// until a second signal, and are then cut off.
func (p *process) end(ends <-chan os.Signal) error {
	p.ending.Store(true)
	front := p.servers[0]
	front.SetKeepAlivesEnabled(false) // who comes again shall come to another
	ctx, cancel := context.WithTimeout(context.Background(), p.config.grace)
	defer cancel()
	go func() {
		select {
		case <-ends:
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = p.limiter.Shutdown(ctx) // what it could not do the second one does, or says
	err := p.drained(ctx)
	if err != nil {
		p.log.Warn("calls in flight are cut off", "error", err)
		p.cut()
		front.Close()
		<-p.proxy.calls.idle()
	}
	last, cancelLast := context.WithTimeout(context.Background(), settling)
	defer cancelLast()
	if err := p.limiter.Shutdown(last); err != nil {
		p.log.Warn("settlements are lost", "error", err)
	}
	for _, s := range p.servers {
		s.Close()
	}
	p.cut()
	p.base.CloseIdleConnections()
	if err := p.limiter.close(); err != nil {
		p.log.Warn("redis client", "error", err)
	}
	p.log.Info("ended")
	return err
}

// drained returns when no call is in flight any more. The server does not wait for WebSockets.
func (p *process) drained(ctx context.Context) error {
	if err := p.servers[0].Shutdown(ctx); err != nil {
		return err
	}
	select {
	case <-p.proxy.calls.idle():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
