package statuspage

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/redis"
	"github.com/openai-ratelimiter/ratelimiter/internal/redistest"
	"github.com/openai-ratelimiter/ratelimiter/statuspage"
)

// With Redis the page shows the other processes, and what waits there. While Redis is gone it
// says so, and goes on when that is back.
func TestRedis(t *testing.T) {
	server := redistest.Run(t)
	shared := func() ratelimiter.Option {
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
		t.Cleanup(func() { _ = client.Close() })
		return ratelimiter.WithBackend(redis.New(client))
	}
	own := newProgram(t, statuspage.New(), append(slow("m"), shared())...)
	other := newProgram(t, statuspage.New(), append(slow("m"), shared())...)
	b := open(t, own.page, 1000, 700) // first, for it may take long, and what is used counts for a minute
	own.use("m", 36)
	other.use("m", 108)
	leave := other.wait(t.Context(), "m", 3)
	b.says("Fleet: 2 processes · 3 wait, oldest ")
	b.says("3 wait in other processes")
	b.says("store answers in ")
	b.click(".flows:not([hidden]) > summary")
	b.click("li summary")
	b.says("this process: 25 % of the last minute, nobody waits, 0 in flight")
	b.says(": 75 % of the last minute, 3 wait, oldest ")
	b.until(`[...document.querySelectorAll(".processes tbody tr")].map((e) => e.children[1].textContent).sort().join() === "25\u00a0%,75\u00a0%"`)
	leave()
	b.says("nobody waits · 0 in flight")

	server.Kill()
	b.says("The budget is not known now: ")
	b.says("The shared store does not answer: ")
	if !get[bool](b, row("m")+` !== undefined`) {
		t.Error("the model is gone")
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	b.until(`!` + text + `.includes("not known now")`)
	b.until(`!` + text + `.includes("does not answer")`)
	b.until(row("m") + `.querySelector("[role=meter]") !== null`)
}
