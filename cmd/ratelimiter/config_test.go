package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestAmounts(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "500": 500, "200k": 200_000, "200K": 200_000, "1.5M": 1_500_000, "30_000": 30_000, "0.5k": 500, "2m": 2_000_000,
		"0": 0, "": 0, "k": 0, "-5": 0, "1.5": 0, "0.0001k": 0, "1e3": 0, "0x10": 0, "5 k": 0, "5kk": 0, "_": 0, "1g": 0,
		"99999999999999999999": 0, "10000000000000000k": 0, ".5k": 0,
	} {
		got, err := parseAmount(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
}

// The same settings by flags and in a file are the same configuration.
func TestFlagsAndFile(t *testing.T) {
	flags := []string{
		"-listen", ":1", "-admin", "off", "-upstream", "https://api.groq.com/openai", "-account", "team",
		"-limits", "gpt-5.4-mini=rpm: 500 , tpm :200k,,burst:1s,", "-limits", "ft:gpt-4o:acme::id=rpd:10k,tpd:1.5M,ipm:5,concurrent:3",
		"-shared", "gpt-5=gpt-5.4-mini, gpt-5.4-mini-2026-03-17=tpm:300k", "-account-limits", "rpm:1k",
		"-classes", "interactive=weight:10,max-wait:30s,tpm:100k", "-classes", "=weight:0.5", "-max-wait", "2m", "-max-waiting", "100",
		"-redis", "redis://h:1/2", "-fallback", "rpm:50", "-stream-usage", "-grace", "1m", "-log-level", "warn", "-log-format", "json",
	}
	path := write(t, "c.yaml", `
listen: ":1"
admin: off
upstream: https://api.groq.com/openai
account: team
limits:
  gpt-5.4-mini: &limits {rpm: 500, tpm: 200k, burst: 1s}
  "ft:gpt-4o:acme::id": {rpd: 10_000, tpd: 1.5M, ipm: 5, concurrent: 3}
shared:
  gpt-5: {models: [gpt-5.4-mini, gpt-5.4-mini-2026-03-17], tpm: 300k}
account-limits: {rpm: 1k}
classes:
  interactive: {weight: 10, max-wait: 30s, tpm: 100k}
  "": {weight: 0.5}
max-wait: 2m
max-waiting: 100
redis: redis://h:1/2
fallback: {rpm: 50}
stream-usage: true
grace: 1m
log-level: warn
log-format: json
`)
	a, b := loaded(t, flags...), loaded(t, "-config", path)
	if got, want := describe(b), describe(a); got != want {
		t.Errorf("the file is\n%s\nthe flags are\n%s", got, want)
	}
	if a.grace != time.Minute || a.upstream.Path != "/openai" || a.classes["interactive"].Weight != 10 || a.classes["interactive"].Limits.TPM != 100_000 || a.classes[""].Weight != 0.5 || len(a.limits) != 4 || !a.bounded {
		t.Errorf("%+v", a)
	}
	// Flags go over the file.
	c := loaded(t, "-config", path, "-grace", "3s", "-limits", "o=rpm:1")
	if c.grace != 3*time.Second || len(c.limits) != 5 {
		t.Errorf("%+v", c)
	}
	if got := fmt.Sprint(a.restarts(c)); got != "[grace]" {
		t.Errorf("a restart is needed for %s", got)
	}
	d := loaded(t, "-config", path, "-limits", "gpt-5.4-mini=rpm:1", "-shared", "gpt-5=o=rpm:1", "-account-limits", "rpm:1",
		"-classes", "interactive=weight:3", "-fallback", "rpm:7")
	if d.classes["interactive"].Weight != 3 || len(d.classes) != 2 || len(d.limits) != 4 {
		t.Errorf("%+v", d)
	}
	if got := fmt.Sprint(a.restarts(d)); got != "[classes interactive fallback]" {
		t.Errorf("a restart is needed for %s", got)
	}
}

func loaded(t *testing.T, args ...string) *config {
	t.Helper()
	s, err := parseFlags(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// describe is all of a configuration but where it stands, which the limiter's options hide.
func describe(c *config) string {
	return fmt.Sprintf("%v %d", c.fixed, len(c.limits))
}

// All that is wrong is told at once, with its line.
func TestFaults(t *testing.T) {
	path := write(t, "c.yaml", `listen: 127.0.0.1
limts: {}
limits:
  a: {rpm: 20, rpd: 10, tpx: 4, tpd: x}
  b:
    rpm: 20
    rpd: 10
    burst: 1h
  c: 5
  d: {rpm: [1]}
  e: {rpm: 0}
shared:
  f: {models: [b, c], tpm: 200k}
  g: {models: b, tpm: 1k}
  h: {models: [b], tpm: 1k}
  i: {models: [""], tpm: 1k}
classes:
  x: {weight: -4}
  y: {weight: 2, max-wait: 3}
  z: {wait: 3s}
  zero: {weight: 0, max-wait: 0s}
max-wait: [3]
max-waiting: 0
grace: 5s
grace: 6s
upstream: api.openai.com
redis: http://h
fallback: {rpm: 20, rpd: 1}
fail-open: yes
log-level: loud
`)
	flags := []string{"-config", path, "-limits", "5", "-limits", "a=rpm", "-shared", "f=rpm:1", "-account-limits", "rpm:-1", "-limits", "m=rpm:5,rpm:6",
		"-classes", "v=weight:heavy", "-classes", "w=weight:2", "-classes", "w=weight:3", "-log-format", "xml", "extra"}
	s, err := parseFlags(flags, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.load()
	want := strings.ReplaceAll(`ratelimiter: the configuration is faulty:
-limits: "5" is not of the form MODEL=rpm:500,tpm:200k
-limits: "a=rpm" is not of the form MODEL=rpm:500,tpm:200k
-shared: "f=rpm:1" is not of the form NAME=MODEL,MODEL=rpm:500,tpm:200k
-account-limits rpm: "-1" is not a number such as 500, 200k or 1.5M
-limits m: rpm: it is set twice
-classes v: weight: "heavy" is not a number
-classes w: it is set twice
-log-format: "xml" is neither text nor json
FILE:1: listen: "127.0.0.1" is not an address such as 127.0.0.1:8080 or :8080
FILE:2: limts: there is no such setting: ratelimiter -help lists them
FILE:4: limits: a: tpx: it is not one of rpm, rpd, tpm, tpd, ipm, concurrent and burst
FILE:4: limits: a: tpd: "x" is not a number such as 500, 200k or 1.5M
FILE:5: limits: b: Burst is 1h0m0s: it is above the minute that the limits are for
FILE:5: limits: b: RPM 20 is above RPD 10, which could never be used
FILE:9: limits: c: it takes keys and values, such as {rpm: 500, tpm: 200k}
FILE:10: limits: d: rpm: it takes one value
FILE:11: limits: e: rpm: a limit must be positive: leave it out if there is none
FILE:14: shared: g: models: it takes a list
FILE:15: shared: h: model "b" is in two families, "f" and "h"
FILE:16: shared: i: models: it takes names
FILE:18: classes: x: a weight of -4 is not from 0.001 to 1,000,000
FILE:19: classes: y: max-wait: "3" is not a duration such as 30s or 2m
FILE:20: classes: z: wait: it is not one of weight, max-wait, rpm, rpd, tpm, tpd, ipm, concurrent and burst
FILE:21: classes: zero: weight: a weight must be positive: leave it out for 1
FILE:21: classes: zero: max-wait: a class's longest wait must be positive, such as 1ms: leave it out for that of all calls
FILE:22: max-wait: it takes one value
FILE:23: max-waiting: "0" is not a positive number
FILE:25: grace: it is set twice
FILE:26: upstream: "api.openai.com" is not a URL such as https://api.openai.com
FILE:27: redis: REDIS
FILE:28: fallback: RPM 20 is above RPD 1, which could never be used
FILE:29: fail-open: "yes" is neither true nor false
FILE:30: log-level: "loud" is not debug, info, warn or error
"extra" is not a flag`, "FILE", path)
	want = strings.Replace(want, "REDIS", errRedis.Error(), 1)
	if err == nil || err.Error() != want {
		t.Errorf("it says\n%v\nwant\n%s", err, want)
	}
}

// Where several settings contradict each other, the fault stands at the last of them; and
// what a file would be read for only in part is a fault.
func TestFaultsOfSeveral(t *testing.T) {
	for file, want := range map[string]string{
		"limits:\n  a: {rpm: 5}\n  A: {rpm: 7}": `FILE:3: limits: A: model "a" is configured twice: put all its limits together`,
		"max-wait: 1m\n---\nmax-wait: 2m":       "FILE:2: a second document begins here, and only one is read",
		"limits: m=rpm:5":                       "FILE:1: limits: it takes keys and values, such as NAME: {rpm: 500, tpm: 200k}",
		"account-limits: 5k":                    "FILE:1: account-limits: it takes keys and values, such as {rpm: 500, tpm: 200k}",
		"shared: {f: 5}":                        "FILE:1: shared: f: it takes keys and values, such as {models: [MODEL, MODEL], rpm: 500, tpm: 200k}",
		"- limits":                              "FILE:1: it takes keys and values",
		"? [limits]\n: {}":                      "FILE:1: a key must be a name",
		"limits: {? [m] : {rpm: 5}}":            "FILE:1: limits: a key must be a name",
		"limits: {m: &m {rpm: 5}, n: *m}":       "",
		"limits: {m: &m {rpm: 5, rpm: 6}}":      "FILE:1: limits: m: rpm: it is set twice",
		"grace: &g 1m\nmax-wait: *g\nclasses: {c: {max-wait: *g}}":               "",
		"shared: {f: {models: &f [&a a, b], rpm: 5}, g: {models: [*a], rpm: 5}}": `FILE:1: shared: g: model "a" is in two families, "f" and "g"`,
		"shared: {f: {models: &f [a], rpm: 5}, g: {models: *f, rpm: 5}}":         `FILE:1: shared: g: model "a" is in two families, "f" and "g"`,
		"grace: 0s\nmax-wait: 0s":      "",
		"grace: -1s":                   "FILE:1: grace: -1s is negative",
		"max-wait: ~":                  "FILE:1: max-wait: it takes one value",
		"upstream: http://h/#fragment": `FILE:1: upstream: "http://h/#fragment" has a fragment`,
		"account-limits: {rpm: 5}\nlimits: {m: {rpm: 5}}\n# end": "",
		"# nothing": "",
		"# flags -redis=redis://h -fallback=rpm:1 -fallback=rpm:2":              "-fallback: it is set twice",
		"limits: {m: {rpm: 5, rpd: 1}} # flags -limits=m=rpm:1 -limits=m=tpm:1": `-limits m: model "m" is configured twice: put all its limits together`,
	} {
		path := write(t, "c.yaml", file)
		_, flags, _ := strings.Cut(file, "# flags ")
		s, err := parseFlags(append([]string{"-config", path}, strings.Fields(flags)...), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := s.load(); err != nil {
			got = strings.ReplaceAll(strings.TrimPrefix(err.Error(), "ratelimiter: the configuration is faulty:\n"), path, "FILE")
		}
		if got != want {
			t.Errorf("%s\nis said to have the fault\n%s\nwant\n%s", file, got, want)
		}
	}
}

// What can't be read at all, and flags that there are none of.
func TestUnreadable(t *testing.T) {
	for name, args := range map[string][]string{
		"flag":    {"-limit", "m=rpm:1"},
		"missing": {"-config", "/nowhere.yaml"},
		"yaml":    {"-config", write(t, "c.yaml", "limits: {a: {rpm: 1}\n")},
	} {
		var stderr bytes.Buffer
		if code := run(args, io.Discard, &stderr); code != exitUsage || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: %d %s", name, code, stderr.String())
		}
	}
	var out bytes.Buffer
	if code := run([]string{"-version"}, &out, io.Discard); code != exitOK || !strings.HasPrefix(out.String(), "ratelimiter ") {
		t.Errorf("%d %s", code, out.String())
	}
	out.Reset()
	if code := run([]string{"-help"}, io.Discard, &out); code != exitOK || !strings.Contains(out.String(), "-account-limits") {
		t.Errorf("%d %s", code, out.String())
	}
}

// Of Redis's URL nothing is repeated that may be its password.
func TestRedisURL(t *testing.T) {
	for _, text := range []string{"redis://:se/cret@h:1", "http://:secret@h", "redis://:secret@h:x", "redis://:secret@h/db", "redis://h?addr=secret&db=x", "redis://:se%cret@h", "redis://h?master_name=secret&db=x", "://secret"} {
		s := &settings{flags: []setting{{key: "redis", text: text, at: place{name: "-redis"}}}}
		if _, err := s.load(); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"redis://h", "rediss://u:p%2F@h:1/3", "unix:///run/redis.sock", "redis://h:1?addr=g:1", "redis://h:1?master_name=m"} {
		make, err := parseRedis(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		client := make()
		if o := reflect.ValueOf(client).MethodByName("Options").Call(nil)[0].Elem(); !o.FieldByName("ContextTimeoutEnabled").Bool() {
			t.Errorf("%s: a call that is given up goes on", text)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Of the API's URL nothing is repeated, nor logged, that may be a key.
func TestUpstreamURL(t *testing.T) {
	for _, text := range []string{"https://me:secret@h", "me:secret@h", "https://me:secret@h:x", "https://me:se%cret@h", "https://me:secret@"} {
		s := &settings{flags: []setting{{key: "upstream", text: text, at: place{name: "-upstream"}}}}
		if _, err := s.load(); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	r := launch(t, "-upstream", "http://127.0.0.1:1/api?key="+secretKey) // which its log may not have: see end
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.text.String(); !strings.Contains(got, `"upstream":"http://127.0.0.1:1/api"`) {
		t.Errorf("the log says %s", got)
	}
}

// The README's file and command lines are taken, and it names each setting.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	_, file, _ := strings.Cut(readme, "```yaml\n")
	file, _, _ = strings.Cut(file, "```")
	c := loaded(t, "-config", write(t, "c.yaml", file))
	if c.grace != 25*time.Second || len(c.limits) != 5 || len(c.classes) != 2 {
		t.Errorf("%+v", c)
	}
	for i := range keys {
		if !strings.Contains(file, "\n"+keys[i].name+":") && !strings.Contains(file, keys[i].name+": ") {
			t.Errorf("it lacks %s", keys[i].name)
		}
	}
	commands := regexp.MustCompile(`(?m)ratelimiter (-limits .*)$`).FindAllStringSubmatch(readme, -1)
	if len(commands) < 2 {
		t.Errorf("%d command lines", len(commands))
	}
	for _, command := range commands {
		loaded(t, strings.Fields(command[1])...)
	}
}
