package statuspage

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var browserRequired = flag.Bool("browser", false, "fail where no browser is found, in place of skipping")

// browser is the one in which tabs are opened. The first test that needs it starts it, and
// TestMain ends it.
var browser = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // which root can't have
		chromedp.ExecPath(browserPath()),
		chromedp.Flag("force-color-profile", "srgb"))
	ctx, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ = chromedp.NewContext(ctx)
	started = true
	return ctx, chromedp.Do(ctx)
})

var started bool

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if started {
		if ctx, err := browser(); err == nil {
			_ = chromedp.Cancel(ctx)
		}
	}
	os.Exit(code)
}

func browserPath() string {
	for _, name := range [...]string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// A tab shows a page, and sees to it that nothing goes wrong in it.
type tab struct {
	t      *testing.T
	ctx    context.Context
	origin string
	server *httptest.Server

	mu     sync.Mutex
	asked  []string // addresses
	faults []string // errors of scripts, and what the browser has refused
}

// open shows the page of a handler at /debug/ratelimiter in a window of its own.
func open(t *testing.T, h http.Handler, width, height int64) *tab {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/debug/ratelimiter", h)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	b := newTab(t, server.URL)
	b.server = server
	b.run(chromedp.EmulateViewport(width, height), chromedp.Navigate(server.URL+"/debug/ratelimiter"))
	b.until(`document.getElementById("live").textContent === "live"`)
	return b
}

func newTab(t *testing.T, origin string) *tab {
	t.Helper()
	if browserPath() == "" {
		if *browserRequired {
			t.Fatal("no Chromium or Chrome is found; on Debian: apt-get install chromium")
		}
		t.Skip("no Chromium or Chrome is found: make test-page")
	}
	ctx, err := browser()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, origin: origin}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.check)
	return b
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, fault(e.ExceptionDetails))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.faults = append(b.faults, e.Entry.Text)
		}
	}
}

func fault(e *runtime.ExceptionDetails) string {
	if e.Exception != nil {
		return e.Text + " " + e.Exception.Description
	}
	return e.Text
}

// check fails the test if a script has failed, the browser has refused something, or
// anything was asked for elsewhere.
func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("in the browser: %s", f)
	}
	if len(b.asked) == 0 {
		b.t.Error("nothing was seen to be asked for")
	}
	for _, url := range b.asked {
		if url != b.origin+"/debug/ratelimiter" && !strings.HasPrefix(url, b.origin+"/debug/ratelimiter?") {
			b.t.Errorf("%s was asked for", url)
		}
	}
}

// expect takes out an address that is to be asked for.
func (b *tab) expect(url string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.asked, url)
	if i < 0 {
		b.t.Errorf("%s was not asked for: %q", url, b.asked)
		return
	}
	b.asked = slices.Delete(b.asked, i, i+1)
}

// forgive takes out faults that are wanted.
func (b *tab) forgive(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = slices.DeleteFunc(b.faults, func(f string) bool { return strings.Contains(f, text) })
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// until waits until an expression is true.
func (b *tab) until(expression string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(time.Minute))); err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		b.t.Fatalf("never %s: %v\n%s", expression, err, text)
	}
}

// click clicks on an element, once nothing covers it. Looking where it is and clicking are one
// step of the page: what a click before has opened may move the element.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`(() => {
		const wanted = document.querySelector(%q);
		if (!wanted) return false;
		wanted.scrollIntoView({ block: "center", behavior: "instant" });
		const { left, top, width, height } = wanted.getBoundingClientRect();
		if (!wanted.contains(document.elementFromPoint(left + width / 2, top + height / 2))) return false;
		wanted.click();
		return true;
	})()`, selector))
}

// get evaluates an expression.
func get[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// media sets features that style sheets ask for, such as prefers-color-scheme.
func (b *tab) media(features ...string) {
	b.t.Helper()
	p := emulation.SetEmulatedMediaParams{}
	for i := 0; i < len(features); i += 2 {
		p.Features = append(p.Features, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, p); err != nil {
		b.t.Fatal(err)
	}
}
