package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// Two scenarios and the sharings by weight are played in real time too, with real
// processes, sockets and a real Redis, so that the simulation is known not to flatter.

// realTier is wide enough for less than a minute to tell something.
var realTier = openaitest.Limits{RPM: 6_000, TPM: 2_000_000}

// realOf is four processes that share the tier, whose budget is used up when they
// begin.
func realOf(name string, events ...event) scenario {
	m := prompts(1, 0.1)
	m.answer = time.Second
	return saturated(name, m, fleetOf(4, 60, time.Millisecond), onRedis, func(s *scenario) {
		s.limits, s.spent, s.events = realTier, true, events
		s.warmUp, s.duration = 15*time.Second, 50*time.Second
	})
}

var realScenarios = []scenario{
	realOf("in real time: four processes, one killed", event{30 * time.Second, killOne(3)}),
	realOf("in real time: four processes, foreign traffic of 30 %", others(time.Second, 30, 30*time.Millisecond)...),
}

// realTime is a policy's name in results.
var realTime = policy{name: "ours on Redis, real"}

// A part is what each process of a run in real time does. This program is executed once
// more for each process, which [runProcess] is then.
type part struct {
	name    string
	limits  openaitest.Limits
	classes map[string]ratelimiter.Class
	groups  []group
	job     func(index int) *job // of the groups in turn
}

func (s *scenario) part() *part {
	return &part{name: s.name, limits: s.limits, groups: []group{{waiting: s.load.workers}}, job: s.job}
}

func (s *sharing) part() *part {
	return &part{name: s.name, limits: s.limits, classes: s.classes, groups: s.groups, job: func(index int) *job {
		j := s.job(index%len(s.groups), index/len(s.groups))
		j.index = index
		return j
	}}
}

// partNamed is what the processes do in the run of this name.
func partNamed(name string) *part {
	for i := range realScenarios {
		if s := &realScenarios[i]; s.name == name {
			return s.part()
		}
	}
	for _, s := range realSharings() {
		if s.name == name {
			return s.part()
		}
	}
	return nil
}

// runReal plays ours in real time.
func runReal(s *scenario) (figures, error) {
	w := newWorld(s)
	report, err := w.playReal(s.part())
	f := w.figures(s.warmUp, s.duration)
	f.calls, f.givenUp = report.Calls, report.GivenUp
	return f, err
}

// runReal plays the sharing in real time.
func (s *sharing) runReal() (*sharingResult, error) {
	w := newWorld(s.scenario())
	_, err := w.playReal(s.part())
	jobs := make([][]*job, len(s.groups))
	for _, j := range w.jobs {
		of := j.index % len(s.groups)
		jobs[of] = append(jobs[of], j)
	}
	return s.result(w, jobs), err
}

// playReal plays the world's scenario in real time, in which each process has a part.
func (w *world) playReal(p *part) (report processReport, err error) {
	store, err := redistest.Start()
	if err != nil {
		return report, err
	}
	defer store.Close()
	w.find = w.findReal(p)
	w.fleet = alone(nil)
	front := httptest.NewServer(w.server)
	members, err := startMembers(w, front.Listener.Addr().String(), store.Addr)
	if err == nil {
		w.calls.Go(w.happen)
		sleep(w.ctx, w.scenario.duration)
	}
	w.cancel()
	w.calls.Wait()
	for _, m := range members {
		r := m.end()
		report.Calls += r.Calls
		report.GivenUp += r.GivenUp
	}
	front.Close() // the server is done with everything
	return report, err
}

// submittedHeader is when a real process has begun a call, in microseconds since
// the Unix epoch.
const submittedHeader = "Simulated-Submitted"

// findReal finds the jobs of processes that draw them by themselves.
func (w *world) findReal(p *part) func(*http.Request) *job {
	jobs := map[int]*job{}
	return func(req *http.Request) *job {
		index := indexOf(req)
		w.mu.Lock()
		defer w.mu.Unlock()
		j := jobs[index]
		if j == nil {
			j = p.job(index)
			j.submitted = time.UnixMicro(numberOf(req, submittedHeader)).Sub(w.begun)
			jobs[index] = j
			w.jobs = append(w.jobs, j)
		}
		return j
	}
}

// A member is a process of the fleet, as its parent sees it.
type member struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	end    func() processReport
}

// startMembers starts the processes, and returns those that it has started.
func startMembers(w *world, host, redisAddr string) ([]*member, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var members []*member
	for i := range w.scenario.processes {
		m := &member{cmd: exec.Command(program)}
		config, err := json.Marshal(processConfig{w.scenario.name, i, w.scenario.processes, host, redisAddr})
		if err != nil {
			return members, err
		}
		m.cmd.Env = append(os.Environ(), processVariable+"="+string(config))
		m.cmd.Stdout, m.cmd.Stderr = &m.output, os.Stderr
		stdin, err := m.cmd.StdinPipe()
		if err == nil {
			err = m.cmd.Start()
		}
		if err != nil {
			return members, err
		}
		m.end = func() (r processReport) {
			stdin.Close()
			if m.cmd.Wait() == nil { // the killed say nothing
				_ = json.Unmarshal(m.output.Bytes(), &r)
			}
			return r
		}
		members = append(members, m)
		w.processes = append(w.processes, &process{id: i, kill: func() {
			if err := m.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				panic(err)
			}
		}})
	}
	return members, nil
}
