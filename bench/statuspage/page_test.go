package statuspage

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
	"github.com/openai-ratelimiter/ratelimiter/statuspage"
)

// A program is a limiter with its page, and calls that tests make with it.
type program struct {
	t    *testing.T
	l    *ratelimiter.Limiter
	page *statuspage.Page
}

func newProgram(t *testing.T, page *statuspage.Page, options ...ratelimiter.Option) *program {
	t.Helper()
	l, err := ratelimiter.New(append(options, page, ratelimiter.WithAccount("team"), ratelimiter.WithWarnings(nil, 0))...)
	if err != nil {
		t.Fatal(err)
	}
	return &program{t, l, page}
}

// use makes a call that has ended.
func (p *program) use(model string, requests int64) {
	p.t.Helper()
	r, err := p.l.Acquire(p.t.Context(), ratelimiter.Cost{Model: model, Requests: requests})
	if err != nil {
		p.t.Fatal(err)
	}
	r.Settle(ratelimiter.Usage{})
}

// wait lets calls stand in line until the function that it returns is called.
func (p *program) wait(ctx context.Context, model string, calls int) (leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	for range calls {
		waiting.Go(func() {
			if r, err := p.l.Acquire(ctx, ratelimiter.Cost{Model: model}); err == nil {
				p.t.Errorf("a call of %s has started", model)
				r.Cancel()
			}
		})
	}
	leave = sync.OnceFunc(func() {
		cancel()
		waiting.Wait()
	})
	p.t.Cleanup(leave)
	return leave
}

// slow limits let a call through in ten minutes, so that what waits goes on waiting.
func slow(models ...string) (options []ratelimiter.Option) {
	for _, m := range models {
		options = append(options, ratelimiter.WithLimits(m, ratelimiter.Limits{RPD: 144}))
	}
	return options
}

// drained makes a program whose model has nothing left.
func drained(t *testing.T, page *statuspage.Page, model string, options ...ratelimiter.Option) *program {
	p := newProgram(t, page, append(options, slow(model)...)...)
	p.use(model, 144)
	return p
}

const (
	rows  = `[...document.querySelectorAll(".scopes > li:not([hidden])")]`
	names = `[...document.querySelectorAll(".scopes > li:not([hidden]) .name")].map((e) => e.textContent)`
	text  = `document.body.innerText.replace(/\u00a0/g, " ")`
)

// row is the row of a model.
func row(model string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".scopes > li")].find((e) => e.querySelector(".name").textContent === %q)`, model)
}

// says waits until the page shows a text.
func (b *tab) says(what string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`%s.includes(%q)`, text, what))
}

// The page follows what happens, without being loaded again.
func TestLive(t *testing.T) {
	p := newProgram(t, statuspage.New(), slow("m")...)
	b := open(t, p.page, 1000, 700)
	b.until(row("m") + `?.querySelector("[role=meter]").ariaValueNow === "144"`)
	b.says("configured, never called")

	p.use("m", 100)
	b.until(row("m") + `.querySelector("[role=meter]").ariaValueNow === "44"`)
	b.until(row("m") + `.querySelector(".fill").getBoundingClientRect().width / ` + row("m") + `.querySelector(".track").getBoundingClientRect().width < 0.31`)
	b.says("100 requests/min")

	p.use("m", 44)
	leave := p.wait(t.Context(), "m", 3)
	b.says("3 wait, oldest ")
	b.until(row("m") + `.querySelector(".out") !== null`)
	leave()
	b.until(`!` + text + `.includes("wait, oldest")`)
	b.until(`document.querySelector("li > details").open = true`)
	b.says("cancelled 3")

	p.use("new", 1)
	b.until(row("new") + ` !== undefined`)
}

// Before anything is known, the page says what to do. That goes when a call comes.
func TestEmpty(t *testing.T) {
	p := newProgram(t, statuspage.New())
	b := open(t, p.page, 1000, 700)
	b.says("No calls yet")
	b.says("limiter.Transport(nil)")
	p.use("m", 1)
	b.until(row("m") + ` !== undefined`)
	b.until(`!` + text + `.includes("No calls yet")`)
}

// In shadow the page says so, and what would have been.
func TestShadow(t *testing.T) {
	p := newProgram(t, statuspage.New(), ratelimiter.WithShadow(), ratelimiter.WithLimits("m", ratelimiter.Limits{RPD: 1}))
	b := open(t, p.page, 1000, 700)
	p.use("m", 2)
	b.says("In shadow: nothing waits or is rejected. Of 1 call, 0 would have waited and 1 would have been rejected. Of 0 throttles, 0 would not have come.")
}

// A hundred models can be used: the most pressed come first, and others can be found.
func TestHundredModels(t *testing.T) {
	var models []string
	for i := range 100 {
		models = append(models, fmt.Sprintf("model-%02d", i))
	}
	classes := ratelimiter.WithClasses(map[string]ratelimiter.Class{"night": {}})
	p := newProgram(t, statuspage.New(), append(slow(models...), classes)...)
	p.use("model-42", 144)
	p.use("model-77", 144)
	p.use("model-17", 100)
	p.wait(ratelimiter.ContextWithClass(t.Context(), "night"), "model-77", 2)
	b := open(t, p.page, 1000, 700)
	b.until(names + `.slice(0, 4).join() === "model-77,model-42,model-17,model-00"`)
	if n := get[int](b, rows+`.length`); n != 100 {
		t.Errorf("%d rows", n)
	}
	height := get[float64](b, rows+`[5].getBoundingClientRect().height`)
	if height > 60 {
		t.Errorf("a row is %v px high", height)
	}

	b.run(chromedp.SendKeys("#filter", "DEL-4"))
	b.until(names + `.join() === "model-42,model-40,model-41,model-43,model-44,model-45,model-46,model-47,model-48,model-49"`)
	b.run(chromedp.SendKeys("#filter", kb.Escape+"night"))
	b.until(names + `.join() === "model-77"`)
	b.run(chromedp.SendKeys("#filter", kb.Escape+"nothing like it"))
	b.says("No model matches the filter.")
	b.run(chromedp.SendKeys("#filter", kb.Escape))

	for order, want := range map[string]string{
		"name": "model-00,model-01,model-02", "wait": "model-77,model-00,model-01", "use": "model-42,model-77,model-17", "pressure": "model-77,model-42,model-17",
	} {
		b.run(chromedp.SetValue("#sort", order))
		get[bool](b, `document.getElementById("sort").dispatchEvent(new Event("change"))`)
		if got := get[[]string](b, names+`.slice(0, 3)`); strings.Join(got, ",") != want {
			t.Errorf("by %s: %v", order, got)
		}
	}

	b.click("#toggle")
	b.until(`document.querySelectorAll("li > details[open] > .more").length === 100`)
	b.narrow(1000)
	b.click("#toggle")
	b.until(`document.querySelectorAll("li > details[open]").length === 0`)
}

// narrow fails if the page must be scrolled sideways.
func (b *tab) narrow(width int) {
	b.t.Helper()
	if got := get[int](b, `document.documentElement.scrollWidth`); got > width {
		wide := get[[]string](b, fmt.Sprintf(`[...document.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > %d + 0.5).map((e) => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))`, width))
		b.t.Errorf("the page is %d px wide, not %d: %q", got, width, wide)
	}
}

const hostile = `<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>`

// Names that come from anywhere are text.
func TestHostileNames(t *testing.T) {
	options := append(slow(hostile), ratelimiter.WithClasses(map[string]ratelimiter.Class{hostile: {}}),
		ratelimiter.WithShared(hostile, ratelimiter.Limits{RPM: 10}, "s", hostile+"2"))
	p := newProgram(t, statuspage.New(statuspage.WithClear()), options...)
	ctx := ratelimiter.ContextWithTenant(ratelimiter.ContextWithClass(ratelimiter.ContextWithAccount(t.Context(), hostile), hostile), hostile)
	server := openaitest.New()
	server.Inject(1, openaitest.Answer{Status: http.StatusTooManyRequests, Error: openaitest.Error{Message: hostile, Type: "requests", Code: "rate_limit_exceeded"}, RetryAfter: time.Hour})
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Name a star."}]}`, hostile)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.openai.com/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.l.Client(server.Direct()).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	p.wait(ctx, hostile, 2)

	b := open(t, p.page, 375, 700)
	b.says("2 wait")
	b.click("#toggle")
	b.click(".flows:not([hidden]) > summary")
	b.says("class " + hostile + ", tenant " + hostile + ": 2 calls")
	b.says("“" + hostile + "”")
	b.says(hostile + " (shared)")
	if get[bool](b, `"pwned" in window || document.querySelector("main img, main script") !== null`) {
		t.Error("a name has become markup")
	}
	b.narrow(375)
}

// A phone shows all of it without scrolling sideways.
func TestPhone(t *testing.T) {
	b := open(t, scene(t), 375, 700)
	b.narrow(375)
	b.click("#toggle")
	b.click(".flows:not([hidden]) > summary")
	b.until(`document.querySelectorAll("li > details[open] > .more").length > 5`)
	b.narrow(375)
	small := get[[]string](b, `[...document.querySelectorAll("input, select, button, summary")].filter((e) => e.offsetHeight > 0 && e.offsetHeight < 36).map((e) => e.textContent)`)
	if len(small) > 0 {
		t.Errorf("too small for a finger: %q", small)
	}
}

// slash presses the key as a keyboard does: what handles it may keep it from being typed.
func (b *tab) slash() {
	b.t.Helper()
	for _, p := range []input.DispatchKeyEventParams{
		{Type: input.DispatchKeyEventTypeKeyDown, Text: "/", Key: "/", Code: "Slash", WindowsVirtualKeyCode: 191},
		{Type: input.DispatchKeyEventTypeKeyUp, Key: "/", Code: "Slash", WindowsVirtualKeyCode: 191},
	} {
		if _, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, p); err != nil {
			b.t.Fatal(err)
		}
	}
}

// Everything can be reached and used by keyboard, and what happens meanwhile takes the focus
// nowhere.
func TestKeyboard(t *testing.T) {
	p := newProgram(t, statuspage.New(), slow("ant", "bee", "cat")...)
	p.use("ant", 1)
	b := open(t, p.page, 1000, 700)
	b.until(names + `.join() === "ant,bee,cat"`)
	b.slash()
	b.until(`document.activeElement.id === "filter"`)
	b.run(chromedp.KeyEvent("bee"))
	b.until(names + `.join() === "bee"`)
	b.run(chromedp.KeyEvent(kb.Escape))
	b.until(rows + `.length === 3`)

	var met []string
	for range 6 {
		b.run(chromedp.KeyEvent(kb.Tab))
		met = append(met, get[string](b, `document.activeElement.id || document.activeElement.querySelector(".name")?.textContent || document.activeElement.textContent`))
		if !get[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
			t.Errorf("the focus on %s can't be seen", met[len(met)-1])
		}
	}
	if got := strings.Join(met, ","); got != "sort,toggle,JSON,ant,bee,cat" {
		t.Errorf("Tab goes through %s", got)
	}
	b.run(chromedp.KeyEvent(kb.Enter))
	b.until(row("cat") + `.querySelector("details").open`)
	b.says("Configured.")

	// "bee" would come first now, but the row under the focus stays where it is.
	p.use("bee", 144)
	p.wait(t.Context(), "bee", 2)
	b.says("2 wait")
	b.until(`performance.now() > (window.since ??= performance.now()) + 7000`) // rows move every five seconds at most
	if got := get[string](b, names+`.join()`); got != "ant,bee,cat" {
		t.Errorf("rows moved to %s", got)
	}
	if !get[bool](b, row("cat")+`.contains(document.activeElement)`) {
		t.Error("the focus is lost")
	}
	get[bool](b, `(document.activeElement.blur(), true)`)
	b.until(names + `.join() === "bee,ant,cat"`)
	b.until(row("cat") + `.querySelector("details").open`)
}

// Text can be read in both colour schemes, and nothing is told by colour alone.
func TestColours(t *testing.T) {
	h := scene(t)
	paper := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		b := open(t, h, 1000, 700)
		b.media("prefers-color-scheme", scheme)
		b.click("#toggle")
		b.until(`document.querySelector(".more li") !== null`)
		paper[scheme] = get[string](b, `getComputedStyle(document.body).backgroundColor`)
		for _, pale := range get[[]string](b, contrasts) {
			t.Errorf("%s: %s", scheme, pale)
		}
	}
	if paper["light"] == paper["dark"] {
		t.Errorf("both are %s", paper["light"])
	}
	b := open(t, h, 1000, 700)
	for _, figure := range get[[]string](b, `[...document.querySelectorAll(".low, .out")].map((e) => e.querySelector("[role=meter]").ariaValueText)`) {
		if !strings.HasSuffix(figure, ", low") && !strings.HasSuffix(figure, ", used up") {
			t.Errorf("a bar is said to be %q", figure)
		}
	}
	// A bar that is low is hatched.
	if get[int](b, `[...document.querySelectorAll(".low .fill")].filter((e) => getComputedStyle(e).backgroundImage.includes("repeating-linear-gradient")).length`) == 0 {
		t.Error("a low bar is like others but for its colour")
	}
}

// contrasts are texts with less than WCAG's 4.5 to 1 against what is behind them.
const contrasts = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const over = (colours) => {
		canvas.clearRect(0, 0, 1, 1);
		for (const c of colours) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); }
		return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
	};
	const light = (rgb) => {
		const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const pale = [];
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
		const behind = [];
		for (let x = e; x; x = x.parentElement) behind.unshift(getComputedStyle(x).backgroundColor);
		const a = light(over(behind)), b = light(over([...behind, getComputedStyle(e).color]));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) pale.push(ratio.toFixed(1) + " " + e.tagName + "." + e.className + " " + e.textContent.slice(0, 40));
	}
	return pale;
})()`

// Clear is there if the program has turned it on. It asks, and other sites can't use it.
func TestClear(t *testing.T) {
	p := drained(t, statuspage.New(), "m")
	b := open(t, p.page, 1000, 700)
	b.click("li summary")
	b.until(`document.querySelector(".more") !== null`)
	if get[int](b, `document.querySelectorAll("main button").length`) != 0 {
		t.Error("a page that may not clear has a button")
	}

	p = drained(t, statuspage.New(statuspage.WithClear()), "m")
	b = open(t, p.page, 1000, 700)
	b.attacked(url.Values{"account": {"team"}, "model": {"m"}})
	state, err := p.l.State(t.Context())
	if err != nil || state.Scopes[0].Limits[0].Remaining > 0 {
		t.Errorf("another site has cleared: %+v, %v", state, err)
	}

	b.click("li summary")
	b.click(".actions button:not([hidden])")
	b.until(`document.activeElement.textContent === "Cancel"`)
	b.run(chromedp.KeyEvent(kb.Enter))
	b.until(`document.activeElement.textContent === "Clear …"`)
	b.run(chromedp.KeyEvent(kb.Enter))
	b.until(`document.activeElement.textContent === "Cancel"`)
	b.run(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift)), chromedp.KeyEvent(kb.Enter))
	b.says("cleared")
	b.until(row("m") + `.querySelector("[role=meter]").ariaValueNow === "144"`)
}

// attacked lets a page of another origin post a form to the page, and comes back to that.
func (b *tab) attacked(form url.Values) {
	b.t.Helper()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<link rel="icon" href="data:,"><title>another site</title>`)
	}))
	defer other.Close()
	at := newTab(b.t, other.URL)
	at.run(chromedp.Navigate(other.URL + "/debug/ratelimiter"))
	get[bool](at, fmt.Sprintf(`(fetch(%q, { method: "POST", mode: "no-cors", body: new URLSearchParams(%q) }).catch(() => {}).then(() => { window.sent = true; }), true)`,
		b.origin+"/debug/ratelimiter", form.Encode()))
	at.until(`window.sent`)
	at.expect(b.origin + "/debug/ratelimiter")
	at.forgive("NotSameOrigin") // the page's headers keep even its refusal from others
	if _, err := chromedp.Call(b.ctx, page.BringToFront, cdp.Empty{}); err != nil {
		b.t.Fatal(err)
	}
}

// A program that ends is not held up by those who look, and they see that it has ended.
func TestShutdown(t *testing.T) {
	p := newProgram(t, statuspage.New(), slow("m")...)
	b := open(t, p.page, 1000, 700)
	b.until(row("m") + ` !== undefined`)
	if err := b.server.Config.Shutdown(b.ctx); err != nil {
		t.Error(err)
	}
	b.says("no answer: ")
	b.until(`document.querySelector("#live.old") !== null`)
	b.says("what follows is")
	if !get[bool](b, row("m")+` !== undefined`) {
		t.Error("what was shown last is gone")
	}
	b.forgive("net::ERR_CONNECTION_REFUSED")
}
