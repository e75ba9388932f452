package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

func TestReadCalls(t *testing.T) {
	for name, text := range map[string]string{
		"seconds": "time,prompt tokens,output tokens,max_tokens\n12.5,300,40,100\n10,20,5,\n",
		"dates":   "2026-03-01T10:00:02.5Z, 300, 40, 100\n2026-03-01T10:00:00Z, 20, 5, 0\n",
	} {
		calls, err := readCalls(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(calls) != 2 || calls[0].at != 0 || calls[1].at != 2500*time.Millisecond || calls[1].index != 1 {
			t.Errorf("%s: the calls are not in the order of their times", name)
		}
		if c := calls[1]; c.prompt() != 300 || c.charge != 300 || c.output != 40 || c.cap != 100 {
			t.Errorf("%s: got %+v", name, c)
		}
		if calls[0].cap != 0 {
			t.Errorf("%s: a maximum of %d; want none", name, calls[0].cap)
		}
	}
}

func TestReadCallsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "no calls",
		"time,prompt,output,max\n":       "no calls",
		"1,2,3,4\n1,2,3\n":               "line 2: it has 3 columns",
		"time,a,b,c\n1,2,3,4\nx,2,3,4\n": `line 3: time: "x"`,
		"1,2.5,3,4\n":                    `line 1: prompt tokens: "2.5"`,
		"1,2,-3,4\n":                     `line 1: output tokens: "-3"`,
		"1,2,3,9999999\n":                `line 1: max_tokens: "9999999"`,
		"1,2,3,4\n\n2,\"2,3,4\n":         "line 3",
		"1,2,,4\n":                       `line 1: output tokens: ""`,
		"-1,2,3,4\n":                     "line 1: time",
	} {
		_, err := readCalls(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
}

func TestReadLimits(t *testing.T) {
	l, err := readLimits("rpm=600, TPM=200000")
	if want := (openaitest.Limits{RPM: 600, TPM: 200_000}); err != nil || l != want {
		t.Errorf("got %+v, %v", l, err)
	}
	for _, text := range []string{"", "600", "rpm=", "rpm=-1", "ipm=3"} {
		if _, err := readLimits(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// TestLogged plays a log whose calls come faster than their tier allows, one of them
// larger than it ever will.
func TestLogged(t *testing.T) {
	text := strings.Repeat("1,900,100,100\n", 20) + "2,20000,50,50\n"
	calls, err := readCalls(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r := play(t, logged(calls, openaitest.Limits{RPM: 100, TPM: 10_000}), func(string) bool { return true })
	for _, x := range r.runs {
		sent := 0
		for _, j := range x.jobs {
			if j.sent() {
				sent++
			}
		}
		if x.policy != &retries && x.policy != &aimd && sent != 20 {
			t.Errorf("%s has sent %d calls; want all but the one that is too large", x.policy.name, sent)
		}
		if x.policy == &ours && x.figures.refused > 0 {
			t.Errorf("ours has seen %d 429s", x.figures.refused)
		}
	}
}
