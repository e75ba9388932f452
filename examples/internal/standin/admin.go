package standin

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/openai/openai-go/v3/option"
)

// Admin returns the options of a client for the administration API: that of the variable's
// key, or else of a stand-in that lists the rate limits of any project, on two pages.
func Admin(variable string) []option.RequestOption {
	if key := os.Getenv(variable); key != "" {
		return []option.RequestOption{option.WithAdminAPIKey(key)}
	}
	return []option.RequestOption{option.WithAdminAPIKey("none"), option.WithHTTPClient(&http.Client{Transport: admin{}})}
}

type admin struct{}

func (admin) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: req}
	body := `{"error":{"message":"No such path.","type":"invalid_request_error"}}`
	page := func(model, limits string, more bool) string {
		return fmt.Sprintf(`{"object":"list","data":[{"object":"project.rate_limit","id":"rl-%s","model":%q,%s}],"first_id":"rl-%s","last_id":"rl-%s","has_more":%t}`,
			model, model, limits, model, model, more)
	}
	switch {
	case req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, "/rate_limits"):
		resp.StatusCode = http.StatusNotFound
	case req.URL.Query().Get("after") == "":
		body = page("gpt-5.4-mini", `"max_requests_per_1_minute":500,"max_tokens_per_1_minute":200000`, true)
	default:
		body = page("gpt-image-1-mini", `"max_requests_per_1_minute":50,"max_tokens_per_1_minute":250000,"max_images_per_1_minute":20`, false)
	}
	resp.Status = http.StatusText(resp.StatusCode)
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}
