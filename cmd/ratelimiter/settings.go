package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// A setting is one that a flag or the file makes. Both have the same names for the same
// things, and mean the same by them.
type setting struct {
	key    string   // the flag's name, and the file's key
	name   string   // of the model, family or class
	models []string // of the family
	text   string   // of a setting that is one value
	fields []field  // of limits and classes
	at     place
}

// A field is one of the figures of limits, or of a class.
type field struct {
	key, text string
	at        place
}

// settings are those of a command line.
type settings struct {
	flags   []setting
	file    string
	version bool
	fault   []fault
}

// parseFlags reads a command line. Values that are wrong are faults of the configuration and
// reported with its others; an error is one of the flags' names.
func parseFlags(args []string, output io.Writer) (*settings, error) {
	s := new(settings)
	set := flag.NewFlagSet("ratelimiter", flag.ContinueOnError)
	set.SetOutput(io.Discard) // or its list of all flags would hide what is wrong
	set.StringVar(&s.file, "config", "", "read the settings from this YAML `file`, whose keys are the flags' names; a flag overrides it. SIGHUP reads its limits again")
	set.BoolVar(&s.version, "version", false, "print the version and exit")
	for i := range keys {
		k := &keys[i]
		set.Var(&flagValue{k, s}, k.name, k.usage)
	}
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		set.SetOutput(output)
		fmt.Fprint(output, usage)
		set.PrintDefaults()
		return nil, err
	case err != nil:
		fmt.Fprintf(output, "ratelimiter: %v: ratelimiter -help lists the flags\n", err)
		return nil, err
	}
	for _, arg := range set.Args() {
		s.fault = append(s.fault, fault{text: fmt.Sprintf("%q is not a flag", arg)})
	}
	return s, nil
}

const usage = `ratelimiter is a reverse proxy that keeps programs inside OpenAI's rate limits.

	ratelimiter -limits gpt-5.4-mini=rpm:500,tpm:200k
	OPENAI_BASE_URL=http://127.0.0.1:8080/v1 node app.js

	ratelimiter healthcheck [address]
		asks /healthz of the proxy whose -admin has this address, 127.0.0.1:8081 if none is given

LIMITS are figures such as rpm:500,tpm:200k. There are rpm, rpd, tpm, tpd and ipm (requests,
tokens and images per minute and day), concurrent (calls in flight) and burst (a duration). k
means a thousand, M a million. Flags:

`

// A flagValue takes one flag's values as settings.
type flagValue struct {
	key      *key
	settings *settings
}

func (v *flagValue) String() string {
	if v.key == nil {
		return "" // the flag package asks a zero value
	}
	return v.key.standard
}

func (v *flagValue) IsBoolFlag() bool { return v.key.boolean }

// Set never fails, so that all that is wrong is reported together.
func (v *flagValue) Set(text string) error {
	s := setting{key: v.key.name, text: text, at: place{name: "-" + v.key.name}}
	fields, ok := text, true
	switch v.key.form {
	case scalar:
		v.settings.flags = append(v.settings.flags, s)
		return nil
	case named:
		at := strings.LastIndexByte(text, '=') // models' names have colons
		if ok = at >= 0; ok {
			s.name, fields = text[:at], text[at+1:]
			s.at.of = s.name
		}
	case family:
		parts := strings.Split(text, "=")
		if ok = len(parts) == 3; ok {
			s.name, s.models, fields = parts[0], split(parts[1]), parts[2]
			s.at.of = s.name
		}
	}
	for _, pair := range split(fields) {
		name, value, found := strings.Cut(pair, ":")
		ok = ok && found
		s.fields = append(s.fields, field{strings.TrimSpace(name), strings.TrimSpace(value), s.at})
	}
	if !ok {
		v.settings.fault = append(v.settings.fault, fault{place{name: "-" + s.key}, fmt.Sprintf("%q is not of the form %s", text, v.key.example)})
		return nil
	}
	v.settings.flags = append(v.settings.flags, s)
	return nil
}

func split(list string) []string {
	var parts []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
