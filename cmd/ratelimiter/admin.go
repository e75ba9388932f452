package main

import (
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin answers what is for whoever runs the proxy. It has an address of its own, on the
// loopback interface unless -admin says otherwise: it names models, accounts and tenants, which
// those who call the API need not know of each other, and it takes no path from the API.
func admin(page http.Handler, metrics prometheus.Gatherer, ending *atomic.Bool) http.Handler {
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
	mux.Handle("GET /status", page)
	mux.Handle("GET /{$}", http.RedirectHandler("/status", http.StatusFound)) // whoever opens the address wants that
	return mux
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
