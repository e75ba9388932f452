package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openai-ratelimiter/ratelimiter"
)

// admin answers what is for whoever runs the proxy. It has an address of its own, on the
// loopback interface unless -admin says otherwise: it names models, accounts and tenants, which
// those who call the API need not know of each other, and it takes no path from the API.
func admin(limiter *ratelimiter.Limiter, metrics prometheus.Gatherer, ending *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		// Neither Redis nor the API is asked: while one of them is away a restart would not
		// help, and no other replica is better off.
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if ending.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("shutting down\n"))
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, req *http.Request) { status(w, req, limiter) })
	return mux
}

// status writes the State of each account.
func status(w http.ResponseWriter, req *http.Request, limiter *ratelimiter.Limiter) {
	var all struct {
		Accounts []ratelimiter.State `json:"accounts"`
	}
	names := limiter.Accounts()
	if len(names) == 0 {
		names = []string{""} // what is configured
	}
	for _, name := range names {
		state, err := limiter.State(ratelimiter.ContextWithAccount(req.Context(), name))
		var e *ratelimiter.Error
		if errors.As(err, &e) {
			respond(w, http.StatusServiceUnavailable, e.Code(), e.Error())
			return
		}
		if err != nil { // whoever asked has left
			return
		}
		all.Accounts = append(all.Accounts, state)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all) // a client that left cannot be told
}

// local lets nobody in who calls the handler by a name that is not the loopback's: a page in a
// browser may have its own name point there, to read what it could not else.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host, _, err := net.SplitHostPort(req.Host)
		if err != nil {
			host = req.Host
		}
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			http.Error(w, "this address is for localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, req)
	})
}
