package statuspage

import (
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// keys are those of a type's JSON, with the keys above them. Of package ratelimiter's types
// api.txt has the keys.
func keys(t reflect.Type, above string) (all []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[snapshot]().PkgPath() {
		return nil
	}
	for f := range t.Fields() {
		if f.Anonymous {
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, above+key)
		all = append(all, keys(f.Type, above+key+".")...)
	}
	return all
}

// The keys of the page's JSON are a promise (docs/UPGRADING.md): none of these goes. The
// package's comment names each.
func TestKeys(t *testing.T) {
	got := keys(reflect.TypeFor[snapshot](), "")
	want := strings.Fields(`
		up_ns clear backend backend.available backend.error backend.age_ns backend.took_ns
		accounts accounts.account accounts.error accounts.classes accounts.tenants accounts.many_credentials
		accounts.fleet accounts.fleet_error accounts.scopes
		accounts.scopes.waiters accounts.scopes.waiters.class accounts.scopes.waiters.tenant
		accounts.scopes.waiters.waiting accounts.scopes.waiters.oldest_ns
		accounts.scopes.use accounts.scopes.use.unit accounts.scopes.use.last_minute
		accounts.scopes.use.step_ns accounts.scopes.use.amounts
		accounts.scopes.throttles accounts.scopes.throttles.count accounts.scopes.throttles.kind
		accounts.scopes.throttles.message accounts.scopes.throttles.age_ns accounts.scopes.throttles.paused_ns
		accounts.scopes.rejections accounts.scopes.rejections.count accounts.scopes.rejections.codes
		accounts.scopes.rejections.age_ns
		accounts.scopes.response accounts.scopes.response.status accounts.scopes.response.age_ns
		accounts.scopes.response.latency_ns
		accounts.scopes.response.requests accounts.scopes.response.requests.limit accounts.scopes.response.requests.remaining
		accounts.scopes.response.requests.reset_ns accounts.scopes.response.requests.corrected
		accounts.scopes.response.tokens accounts.scopes.response.tokens.limit accounts.scopes.response.tokens.remaining
		accounts.scopes.response.tokens.reset_ns accounts.scopes.response.tokens.corrected
		more_accounts shadow`)
	if !slices.Equal(got, want) {
		t.Errorf("the keys are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	file, err := parser.ParseFile(token.NewFileSet(), "statuspage.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	_, described, _ := strings.Cut(file.Doc.Text(), "# JSON")
	for _, path := range want {
		key := path[strings.LastIndexByte(path, '.')+1:]
		if !regexp.MustCompile(`\b` + key + `\b`).MatchString(described) {
			t.Errorf("the package's comment does not name %s", path)
		}
	}
}
