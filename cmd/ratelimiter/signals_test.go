package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGHUP sets the limits of the file, if nothing is wrong with it.
func TestReload(t *testing.T) {
	a := serveAPI(t, nil)
	const before = "limits:\n  m: {rpm: 1}\n"
	path := write(t, "ratelimiter.yaml", before)
	r := launch(t, "-upstream", a.url, "-config", path)
	all(t, do(t, chat(t, r.url, "m")))
	status := make(chan int)
	go func() { // waits for a minute, unless the limit rises
		resp, err := client(t).Do(chat(t, r.url, "m"))
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	r.logged("ratelimiter: call waits")

	write(t, path, "limits:\n  m: {rpm: 6k, tmp: 1}\n")
	r.signal(syscall.SIGHUP)
	if said := r.logged("limits stay as they were")["error"].(string); !strings.Contains(said, path+":2: limits: m: tmp: ") {
		t.Error(said)
	}
	r.shows(`"limit":1,`, `"waiting":1`) // a faulty file changes nothing
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGHUP)
	r.logged("limits stay as they were")

	write(t, path, "limits:\n  m: {rpm: 6k}\nmax-wait: 1s\nclasses:\n  a: {weight: 2}\n")
	r.signal(syscall.SIGHUP)
	r.logged("limits are set again")
	if said := r.logged("what else has changed needs a restart")["settings"]; said != "classes a, max-wait" {
		t.Error(said)
	}
	if got := <-status; got != http.StatusOK {
		t.Errorf("the call that waited got %d", got)
	}
	r.shows(`"limit":6000,`)
}

// After SIGTERM a stream goes on to its end; a call in line is told to come again; nobody else
// is let in; then the process ends.
func TestTerminate(t *testing.T) {
	next := make(chan struct{}, 1000)
	a := serveAPI(t, gated(next))
	r := launch(t, "-upstream", a.url, "-limits", "m=rpm:1", "-grace", "1m")
	next <- struct{}{}
	stream := do(t, chat(t, r.url, "m", `"stream":true,`))
	defer stream.Body.Close()
	lines := bufio.NewReader(stream.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan *http.Response)
	go func() {
		resp, err := client(t).Do(chat(t, r.url, "m"))
		if err != nil {
			t.Error(err)
		}
		waiting <- resp
	}()
	r.logged("ratelimiter: call waits")
	if status, _ := r.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d", status)
	}

	r.signal(syscall.SIGTERM)
	resp := <-waiting
	if resp == nil {
		t.FailNow()
	}
	if body := all(t, resp); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"shutdown"`) ||
		resp.Header.Get("X-Should-Retry") != "true" || resp.Header.Get("Retry-After") != "1" || !resp.Close {
		t.Errorf("who waited got %d, %v, %s", resp.StatusCode, resp.Header, body)
	}
	if status, body := r.get("/healthz"); status != http.StatusServiceUnavailable || body != "shutting down\n" {
		t.Errorf("/healthz is %d, %s", status, body)
	}
	for { // the port closes a moment later
		resp, err := client(t).Do(chat(t, r.url, "m"))
		if err != nil {
			break
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("somebody got %d", resp.StatusCode)
		}
	}
	for range cap(next) / 2 {
		next <- struct{}{}
	}
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.Contains(string(rest), "[DONE]") {
		t.Errorf("the stream ended with %v, after %q", err, rest)
	}
	r.exit(exitOK)
}

// What has not ended within the grace, or at a second signal, is cut off, and does not seem
// to end.
func TestCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		grace   string
		signals []syscall.Signal
	}{
		"grace":  {"1ms", []syscall.Signal{syscall.SIGINT}},
		"signal": {"1h", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{}, 1)
			a := serveAPI(t, gated(next))
			r := launch(t, "-upstream", a.url, "-grace", c.grace)
			next <- struct{}{}
			stream := do(t, chat(t, r.url, "m", `"stream":true,`))
			defer stream.Body.Close()
			headers := make(chan error) // of a call that has none yet
			go func() {
				resp, err := client(t).Do(chat(t, r.url, "m"))
				if err == nil {
					resp.Body.Close()
				}
				headers <- err
			}()
			for len(a.came()) < 2 {
				select {
				case <-r.exited:
					t.Fatal("it has ended")
				case <-time.After(time.Millisecond):
				}
			}
			for i, s := range c.signals {
				r.signal(s)
				if i == 0 {
					r.logged("shutting down")
				}
			}
			if rest, err := io.ReadAll(stream.Body); err == nil {
				t.Errorf("the stream seems to end, after %q", rest)
			}
			if err := <-headers; err == nil {
				t.Error("a call without a response got one")
			}
			r.logged("calls in flight are cut off")
			r.exit(exitFailed)
		})
	}
}
