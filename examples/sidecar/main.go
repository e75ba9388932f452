// Sidecar runs a program in any language behind the proxy of cmd/ratelimiter. The program calls
// the proxy in place of the API, and knows nothing of limits: its SDK reads the address from the
// environment.
//
//	go run ./sidecar               # eight calls at a time with curl
//	go run ./sidecar node app.js   # any other program
package main

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

//go:embed ask.sh
var ask string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	program := os.Args[1:]
	if len(program) == 0 {
		program = []string{"sh", "-c", ask}
	}
	if err := run(ctx, program); err != nil {
		log.Fatal(err)
	}
}

// run runs a program beside its proxy, as two containers of a pod would.
func run(ctx context.Context, program []string) error {
	upstream, closeUpstream := standin.Upstream("OPENAI_API_KEY")
	defer closeUpstream()
	p, err := startProxy(ctx, "-upstream", cmp.Or(upstream, "https://api.openai.com"),
		"-limits", "gpt-5.4-mini=rpm:120,tpm:30k,burst:1s")
	if err != nil {
		return err
	}
	defer p.end()

	app := exec.CommandContext(ctx, program[0], program[1:]...)
	app.Env = append(os.Environ(), "OPENAI_BASE_URL=http://"+p.address+"/v1")
	app.Stdout, app.Stderr = os.Stdout, os.Stderr
	if err := app.Run(); err != nil {
		return err
	}
	calls, err := p.count("ratelimiter_requests_total")
	waited, err2 := p.count("ratelimiter_request_time_in_queue_seconds_count")
	fmt.Printf("calls that the proxy counted: %d, of which %d waited\n", calls, waited)
	return errors.Join(err, err2)
}

// A proxy is that of cmd/ratelimiter, as a process.
type proxy struct {
	cmd            *exec.Cmd
	dir            string // of its program
	address, admin string
}

// startProxy builds the proxy, starts it on free ports, and waits until it listens.
func startProxy(ctx context.Context, args ...string) (*proxy, error) {
	dir, err := os.MkdirTemp("", "sidecar")
	if err != nil {
		return nil, err
	}
	p := &proxy{dir: dir}
	file := filepath.Join(dir, "ratelimiter")
	build := exec.CommandContext(ctx, "go", "build", "-C", "../cmd/ratelimiter", "-o", file, ".")
	if out, err := build.CombinedOutput(); err != nil {
		p.end()
		return nil, fmt.Errorf("%w: %s (run it in the directory examples)", err, out)
	}
	p.cmd = exec.Command(file, append([]string{"-listen", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-log-format", "json"}, args...)...)
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.cmd = nil
		p.end()
		return nil, err
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line struct{ Msg, Address, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ratelimiter listens" {
			p.address, p.admin = line.Address, line.Admin
			go warnings(lines)
			return p, nil
		}
		fmt.Fprintln(os.Stderr, lines.Text())
	}
	p.end()
	return nil, errors.New("the proxy has not started")
}

// warnings shows those of the proxy's log, until it ends.
func warnings(log *bufio.Scanner) {
	for log.Scan() {
		if !strings.Contains(log.Text(), `"level":"INFO"`) {
			fmt.Fprintln(os.Stderr, log.Text())
		}
	}
}

// count adds up a metric of the proxy's.
func (p *proxy) count(metric string) (sum int, err error) {
	resp, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "} "); ok && strings.HasPrefix(name, metric+"{") {
			n, err := strconv.Atoi(value)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, lines.Err()
}

// end ends the proxy, which waits for calls in flight.
func (p *proxy) end() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	}
	os.RemoveAll(p.dir)
}
