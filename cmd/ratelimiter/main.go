// Ratelimiter is a reverse proxy that keeps programs in any language inside OpenAI's rate
// limits: each request waits in it until its budget is available.
//
//	ratelimiter -limits gpt-5.4-mini=rpm:500,tpm:200k
//	OPENAI_BASE_URL=http://127.0.0.1:8080/v1 node app.js
//
// API keys pass through, and none is stored. README.md beside this file says the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1 // could not serve, or cut off what had not ended within the grace
	exitUsage  = 2 // a faulty configuration
)

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "healthcheck" {
		return healthcheck(args[1:], stderr)
	}
	s, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // parseFlags has said why
	case s.version:
		fmt.Fprintln(stdout, version())
		return exitOK
	}
	c, err := s.load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	// Of each its own, so that none is lost for another: a full channel takes no more.
	ends, reloads := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(reloads, syscall.SIGHUP)
	defer signal.Stop(ends)
	defer signal.Stop(reloads)
	p, err := start(context.Background(), c, newLogger(c, stderr))
	if err != nil {
		fmt.Fprintln(stderr, "ratelimiter:", err)
		return exitFailed
	}
	if err := p.serve(s, ends, reloads); err != nil {
		return exitFailed // it is in the log
	}
	return exitOK
}
