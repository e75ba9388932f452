package invisible

import (
	"io"
	"reflect"
	"strings"
	"time"
)

// fill sets what a call needs: arguments, and of an SDK's parameters the fields that are
// required. A union gets its first variant, a list one element.
func (f *filler) fill(v reflect.Value) {
	if set, ok := f.special[v.Type()]; ok {
		v.Set(reflect.ValueOf(set()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Interface:
		f.implement(v)
	case reflect.Struct:
		f.fields(v)
	}
}

// A filler fills the parameters of one SDK.
type filler struct {
	special map[reflect.Type]func() any
	// needed reports whether a field must be set.
	needed func(owner reflect.Type, field reflect.StructField) bool
	depth  int
}

func (f *filler) implement(v reflect.Value) {
	for _, with := range []any{"x", strings.NewReader("content of a file")} {
		if reflect.TypeOf(with).Implements(v.Type()) {
			v.Set(reflect.ValueOf(with))
			return
		}
	}
}

func (f *filler) fields(v reflect.Value) {
	const deepest = 12 // some parameters hold themselves
	if f.depth++; f.depth > deepest {
		f.depth--
		return
	}
	defer func() { f.depth-- }()
	t := v.Type()
	union := false
	for i := range t.NumField() {
		field := t.Field(i)
		inline := strings.Contains(field.Tag.Get("json"), "inline")
		switch {
		case !field.IsExported() || field.Anonymous:
		case inline && !union:
			union = true
			f.fill(v.Field(i))
		case !inline && f.needed(t, field):
			f.fill(v.Field(i))
		}
	}
}

// file is what SDKs upload.
func file() any { return io.Reader(strings.NewReader("content of a file")) }

func common() map[reflect.Type]func() any {
	return map[reflect.Type]func() any{
		reflect.TypeFor[time.Time]():     func() any { return time.Unix(1_700_000_000, 0).UTC() },
		reflect.TypeFor[time.Duration](): func() any { return time.Millisecond },
		reflect.TypeFor[io.Reader]():     file,
	}
}
