package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// healthcheck asks whether the proxy of this machine serves: for a container without a shell or curl.
func healthcheck(args []string, stderr io.Writer) int {
	where := keyNamed("admin").standard
	if len(args) > 0 {
		where = args[0]
	}
	host, port, err := net.SplitHostPort(where)
	if err != nil || len(args) > 1 {
		fmt.Fprintln(stderr, "usage: ratelimiter healthcheck [address], which is that of -admin")
		return exitUsage
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // where it listens everywhere
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		fmt.Fprintln(stderr, "ratelimiter:", err)
		return exitUsage
	}
	direct := &http.Transport{DisableKeepAlives: true} // no proxy of the environment
	resp, err := direct.RoundTrip(req)
	if err != nil {
		fmt.Fprintln(stderr, "ratelimiter:", err)
		return exitFailed
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		fmt.Fprintln(stderr, "ratelimiter:", resp.Status)
		return exitFailed
	}
	return exitOK
}
