package statuspage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
)

//go:embed assets
var embedded embed.FS

// An asset is a file of the page.
type asset struct {
	name, contentType, etag string
	data                    []byte
}

// assets are the page's files, by the query that names them; "" is the page itself.
var assets = map[string]*asset{
	"":         newAsset("page.html", "text/html; charset=utf-8"),
	"page.js":  newAsset("page.js", "text/javascript; charset=utf-8"),
	"page.css": newAsset("page.css", "text/css; charset=utf-8"),
	"icon.svg": newAsset("icon.svg", "image/svg+xml"),
}

func newAsset(name, contentType string) *asset {
	data, err := embedded.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // the build has lost it
	}
	sum := sha256.Sum256(data)
	return &asset{name, contentType, strconv.Quote(base64.RawURLEncoding.EncodeToString(sum[:16])), data}
}

// headers keep the page to itself: nothing is loaded from elsewhere, no script runs that is
// not a file of its own, and no other site frames it.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Cache-Control":                "no-cache",
}

// ServeHTTP implements http.Handler. A GET is answered with the page, its files or its JSON;
// with [WithClear] a POST of an account and a model, as a form, clears that model, and
// without the model all of the account.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for key, value := range headers {
		w.Header().Set(key, value)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		p.get(w, r)
		return
	case http.MethodPost:
		if p.clear {
			p.post(w, r)
			return
		}
	}
	allow := "GET, HEAD"
	if p.clear {
		allow += ", POST"
	}
	w.Header().Set("Allow", allow)
	http.Error(w, "the page is read-only", http.StatusMethodNotAllowed)
}

func (p *Page) get(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch format := q.Get("format"); format {
	case "json":
		p.serveJSON(w, r)
		return
	case "", "html":
	default:
		http.Error(w, "format is json, or nothing", http.StatusNotFound)
		return
	}
	a := assets[q.Get("file")]
	if a == nil {
		http.Error(w, "the page has no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("ETag", a.etag)
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.data))
}

var errNoLimiter = errors.New("the page shows no limiter: give it to ratelimiter.New as an option")

func (p *Page) serveJSON(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	l := p.limiter.Load()
	err := errNoLimiter
	var data []byte
	if l != nil {
		data, err = p.current(r.Context(), l)
	}
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		data, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	_, _ = w.Write(data)
}

// longestForm bounds the body of a POST.
const longestForm = 64 << 10

var crossOrigin = http.NewCrossOriginProtection()

func (p *Page) post(w http.ResponseWriter, r *http.Request) {
	if err := crossOrigin.Check(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	l := p.limiter.Load()
	if l == nil {
		http.Error(w, errNoLimiter.Error(), http.StatusServiceUnavailable)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, longestForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	account := r.PostForm.Get("account")
	if !r.PostForm.Has("model") || !slices.Contains(accounts(l), account) {
		http.Error(w, "the form names no account that is known, or no model", http.StatusBadRequest)
		return
	}
	err := l.Clear(ratelimiter.ContextWithAccount(r.Context(), account), r.PostForm.Get("model"))
	p.snapshot.forget()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
