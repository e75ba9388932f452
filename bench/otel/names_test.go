package otel

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Prometheus is shown these metrics, and these labels of them; nothing secret among the values.
func TestScrape(t *testing.T) {
	families := scrape(t)
	var got []string
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !strings.HasPrefix(name, "ratelimiter_") {
			continue
		}
		labels := map[string]bool{}
		for _, m := range families[name].Metric {
			for _, l := range m.Label {
				if !strings.HasPrefix(l.GetName(), "otel_scope_") {
					labels[l.GetName()] = true
				}
			}
		}
		got = append(got, strings.ToLower(families[name].GetType().String())+" "+name+" "+strings.Join(slices.Sorted(maps.Keys(labels)), " "))
	}
	const call = " gen_ai_operation_name gen_ai_provider_name gen_ai_request_model"
	const bucket = " gen_ai_provider_name gen_ai_request_model ratelimiter_account ratelimiter_limit_name ratelimiter_limit_owner"
	want := []string{
		"gauge ratelimiter_backend_available ",
		"histogram ratelimiter_backend_duration_seconds error_type ratelimiter_backend_command",
		"counter ratelimiter_charge_total" + call + " ratelimiter_account ratelimiter_class ratelimiter_unit",
		"histogram ratelimiter_corrections gen_ai_provider_name gen_ai_request_model ratelimiter_account ratelimiter_class ratelimiter_correction_direction ratelimiter_unit",
		"histogram ratelimiter_estimate_error" + call + " gen_ai_token_type ratelimiter_account ratelimiter_class",
		"gauge ratelimiter_in_flight_requests" + call + " ratelimiter_account ratelimiter_class",
		"gauge ratelimiter_limit" + bucket,
		"gauge ratelimiter_margin" + bucket,
		"histogram ratelimiter_pause_duration_seconds" + call + " ratelimiter_account ratelimiter_class ratelimiter_throttle_kind",
		"gauge ratelimiter_queued_requests" + call + " ratelimiter_account ratelimiter_class",
		"gauge ratelimiter_remaining" + bucket,
		"histogram ratelimiter_request_time_in_queue_seconds error_type" + call + " ratelimiter_account ratelimiter_class ratelimiter_result",
		"counter ratelimiter_requests_total error_type" + call + " ratelimiter_account ratelimiter_class ratelimiter_result",
		"counter ratelimiter_server_throttles_total" + call + " ratelimiter_account ratelimiter_class ratelimiter_throttle_kind",
	}
	if !slices.Equal(got, want) {
		t.Errorf("scraped\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, family := range families {
		for _, secret := range []string{secretKey, secretTenant, secretPrompt, "127.0.0.1"} {
			if strings.Contains(family.String(), secret) {
				t.Errorf("%s reveals %q: %v", name, secret, family)
			}
		}
	}
}
