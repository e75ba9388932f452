package ratelimiter_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A log of a State says all that its JSON says, under the same keys, and nothing else.
func TestLogOfAStateIsItsJSON(t *testing.T) {
	var state ratelimiter.State
	fill(t, reflect.ValueOf(&state), new(int64))
	known := state.Scopes[0].Limits[0]
	known.Name, known.Unknown = "known", false // Unknown hides what is not known then
	state.Scopes[0].Limits[0].Remaining, state.Scopes[0].Limits[0].Reset = 0, 0
	state.Scopes[0].Limits = append(state.Scopes[0].Limits, known)
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	said := leaves(t, text)
	logged, groups := logOf(t, state)
	titles := []string{"model", "class", "tenant", "name", "owner"} // what groups are named after
	for _, l := range said {
		l.key = strings.TrimSuffix(l.key, "_ns")
		switch {
		case l.value == "0" || l.key == "account": // a digest of it
		case slices.Contains(titles, l.key):
			if !strings.Contains(groups, l.value) {
				t.Errorf("%s=%s is in no group's name: %s", l.key, l.value, groups)
			}
		case !slices.Contains(logged, l):
			t.Errorf("%s=%s is not logged", l.key, l.value)
		}
	}
	for _, l := range logged {
		if l.key != "account" && !slices.Contains(said, l) && !slices.Contains(said, leaf{l.key + "_ns", l.value}) {
			t.Errorf("%s=%s is logged, and not in the JSON", l.key, l.value)
		}
	}
}

// A log of an Error has all of its fields.
func TestLogOfAnErrorIsWhole(t *testing.T) {
	rejection := ratelimiter.Error{Reason: ratelimiter.ErrMaxWait, Cause: errors.New("s999")}
	fill(t, reflect.ValueOf(&rejection), new(int64))
	rejection.Wait += rejection.Waited
	logged, _ := logOf(t, &rejection)
	keys := map[string]string{"Reason": "code", "Wait": "retry_after"} // where it is not the field's name
	for field := range reflect.TypeOf(rejection).Fields() {
		key := keys[field.Name]
		if key == "" {
			key = strings.ToLower(field.Name)
		}
		is := fmt.Sprint(reflect.ValueOf(rejection).FieldByIndex(field.Index))
		switch field.Name {
		case "Account":
			continue // a digest of it
		case "Reason":
			is = rejection.Code()
		case "Wait":
			is = fmt.Sprint(int64(rejection.RetryAfter()))
		case "Cost":
			key, is = "tokens", fmt.Sprint(rejection.Cost.Tokens)
		}
		if d, ok := reflect.ValueOf(rejection).FieldByIndex(field.Index).Interface().(time.Duration); ok && field.Name != "Wait" {
			is = fmt.Sprint(int64(d))
		}
		if !slices.Contains(logged, leaf{key, is}) {
			t.Errorf("%s=%s is not logged: %v", key, is, logged)
		}
	}
}

// fill gives each field that has no value one of its own.
func fill(t *testing.T, v reflect.Value, n *int64) {
	t.Helper()
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		fill(t, v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0), n)
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1_000_000 * *n) // of a duration, milliseconds
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Interface: // an error, which the caller sets
	default:
		t.Fatalf("what to put into a %v?", v.Type())
	}
}

// A leaf is a value that is no group, with its key.
type leaf struct{ key, value string }

// leaves are those of JSON.
func leaves(t *testing.T, text []byte) (found []leaf) {
	t.Helper()
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, v := range v {
				walk(key, v)
			}
		case []any:
			for _, v := range v {
				walk(key, v)
			}
		default:
			found = append(found, leaf{key, fmt.Sprint(v)})
		}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	walk("", v)
	return found
}

// logOf returns the leaves of a value's log, and the names of its groups.
func logOf(t *testing.T, value slog.LogValuer) (found []leaf, groups string) {
	t.Helper()
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(in []string, a slog.Attr) slog.Attr {
		if len(in) == 0 { // the time and the like
			return slog.Attr{}
		}
		groups += strings.Join(in, " ") + "\n"
		return a
	}})).LogAttrs(t.Context(), slog.LevelInfo, "", slog.Attr{Key: "it", Value: value.LogValue()})
	return leaves(t, out.Bytes()), groups
}
