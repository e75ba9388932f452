package invisible

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// errorText is all that a program can see of an error: its chain, types and texts, and
// what it says of itself.
func errorText(err error) string {
	var b strings.Builder
	var write func(err error, depth int)
	write = func(err error, depth int) {
		fmt.Fprintf(&b, "%s%T: %s", strings.Repeat("  ", depth), err, normal(err.Error()))
		if t, ok := err.(interface{ Timeout() bool }); ok {
			fmt.Fprintf(&b, " (timeout: %t)", t.Timeout())
		}
		if t, ok := err.(interface{ Temporary() bool }); ok {
			fmt.Fprintf(&b, " (temporary: %t)", t.Temporary())
		}
		b.WriteByte('\n')
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			if err := e.Unwrap(); err != nil {
				write(err, depth+1)
			}
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				write(err, depth+1)
			}
		}
	}
	if err == nil {
		return "no error\n"
	}
	write(err, 0)
	return b.String()
}

type rawMessage = json.RawMessage

// headText is the head of a response, and of the request that it is said to answer.
func headText(resp *http.Response) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %d %d.%d\n", resp.Proto, resp.Status, resp.StatusCode, resp.ProtoMajor, resp.ProtoMinor)
	headerText(&b, resp.Header)
	fmt.Fprintf(&b, "length %d, %q, close %t, uncompressed %t, TLS %t\n",
		resp.ContentLength, resp.TransferEncoding, resp.Close, resp.Uncompressed, resp.TLS != nil)
	fmt.Fprintf(&b, "trailers announced %q\n", slices.Sorted(maps.Keys(resp.Trailer)))
	if r := resp.Request; r != nil {
		fmt.Fprintf(&b, "of %s %s %q, length %d, body %t, again %t\n", r.Method, r.URL, r.Host, r.ContentLength, r.Body != nil, r.GetBody != nil)
		headerText(&b, r.Header)
	}
	return normal(b.String())
}

func headerText(b *strings.Builder, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(b, "%s: %q\n", name, h[name])
	}
}

// bodyText reads and closes a response's body, with reads of some size, and says what came,
// how it ended and what it says when it is over.
func bodyText(resp *http.Response, size int) string {
	var b strings.Builder
	if resp.Body == nil {
		return "no body\n"
	}
	p := make([]byte, size)
	var got []byte
	var err error
	for err == nil {
		var n int
		n, err = resp.Body.Read(p)
		got = append(got, p[:n]...)
	}
	fmt.Fprintf(&b, "body %q\nended by %s", got, errorText(err))
	// Of a body that was cut off, net/http then says what it saw of the connection first.
	if _, again := resp.Body.Read(p); err == io.EOF || again == nil || again == io.EOF {
		fmt.Fprintf(&b, "read again: %s", errorText(again))
	}
	b.WriteString("trailers\n")
	headerText(&b, resp.Trailer)
	fmt.Fprintf(&b, "closed: %s", errorText(resp.Body.Close()))
	_, err = resp.Body.Read(p)
	fmt.Fprintf(&b, "read when closed: %s", errorText(err))
	fmt.Fprintf(&b, "closed again: %s", errorText(resp.Body.Close()))
	return normal(b.String())
}

// valueText is what an SDK has returned: of a response or a reader what it holds, of a
// stream or a list all that comes.
func valueText(ctx context.Context, v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return "nil\n"
		}
	}
	switch x := v.Interface().(type) {
	case error:
		return errorText(x)
	case *http.Response:
		return headText(x) + bodyText(x, 4096)
	}
	if text, ok := iterated(ctx, v); ok {
		return text
	}
	if text, ok := talk(ctx, v); ok {
		return text
	}
	if r, ok := v.Interface().(io.ReadCloser); ok {
		all, err := io.ReadAll(r)
		return fmt.Sprintf("%q\n%s%s", all, errorText(err), errorText(r.Close()))
	}
	var b strings.Builder
	if raw, ok := v.Interface().(interface{ RawJSON() string }); ok {
		b.WriteString(raw.RawJSON() + "\n")
	}
	text, err := json.Marshal(v.Interface())
	if err != nil {
		return fmt.Sprintf("%T\n", v.Interface())
	}
	b.Write(text)
	if h, ok := v.Interface().(interface{ Header() http.Header }); ok {
		b.WriteByte('\n')
		headerText(&b, h.Header())
	}
	b.WriteByte('\n')
	return b.String()
}

// iterated reads all that a stream or a list gives: openai-go's have Next, Current and
// Err, go-openai's Recv.
func iterated(ctx context.Context, v reflect.Value) (string, bool) {
	var b strings.Builder
	next, current, failed := v.MethodByName("Next"), v.MethodByName("Current"), v.MethodByName("Err")
	recv := v.MethodByName("Recv")
	const most = 100
	switch {
	case next.IsValid() && current.IsValid() && failed.IsValid() && next.Type().NumIn() == 0:
		for i := 0; i < most && next.Call(nil)[0].Bool(); i++ {
			b.WriteString(valueText(ctx, current.Call(nil)[0]))
		}
		b.WriteString(valueText(ctx, failed.Call(nil)[0]))
	case recv.IsValid() && recv.Type().NumIn() == 0 && recv.Type().NumOut() == 2:
		for range most {
			out := recv.Call(nil)
			b.WriteString(valueText(ctx, out[0]))
			if err, ok := out[1].Interface().(error); ok {
				b.WriteString(errorText(err))
				break
			}
		}
	default:
		return "", false
	}
	if c, ok := v.Interface().(io.Closer); ok {
		b.WriteString("closed: " + errorText(c.Close()))
	}
	return b.String(), true
}
