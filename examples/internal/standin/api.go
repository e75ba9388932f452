package standin

import (
	"fmt"
	"net/http"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// API is the stand-in as a server has it: openaitest with what the examples need beside it, which
// is the limits of a project and the Responses API over a WebSocket.
func API(options ...openaitest.Option) http.Handler {
	api := server(options...)
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.HandleFunc("GET /v1/organization/projects/{project}/rate_limits", rateLimits)
	mux.Handle("GET /v1/responses", conversation{api})
	return mux
}

// rateLimits lists the limits of any project, on two pages.
func rateLimits(w http.ResponseWriter, r *http.Request) {
	page := func(model, limits string, more bool) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"list","data":[{"object":"project.rate_limit","id":"rl-%s","model":%q,%s}],"first_id":"rl-%s","last_id":"rl-%s","has_more":%t}`,
			model, model, limits, model, model, more)
	}
	if r.FormValue("after") == "" {
		page("gpt-5.4-mini", `"max_requests_per_1_minute":500,"max_tokens_per_1_minute":200000`, true)
	} else {
		page("gpt-image-1-mini", `"max_requests_per_1_minute":50,"max_tokens_per_1_minute":250000,"max_images_per_1_minute":20`, false)
	}
}
