package ratelimiter_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openai-ratelimiter/ratelimiter"
)

// A signature that is new with each request is no new account, and a host with many
// keys is reported once.
func TestCredentialsThatRotate(t *testing.T) {
	var reports []ratelimiter.CredentialsInfo
	var accounts []string
	l := newLimiter(t, ratelimiter.WithDigestKey([]byte("0123456789abcdef")), ratelimiter.WithTrace(&ratelimiter.Trace{
		Credentials: func(_ context.Context, i ratelimiter.CredentialsInfo) { reports = append(reports, i) },
		Started: func(_ context.Context, i ratelimiter.StartedInfo) {
			if !slices.Contains(accounts, i.Account) {
				accounts = append(accounts, i.Account)
			}
		},
	}))
	send := func(host, authorization string) {
		t.Helper()
		req := newRequest(t, t.Context(), "https://"+host+"/v1/chat/completions", strings.NewReader(chatBody("m", 1, false)))
		req.Header.Set("Authorization", authorization)
		resp, err := l.Transport(answering("{}")).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	for i := range 20 {
		send("bedrock-mantle.eu-central-1.api.aws", fmt.Sprint("AWS4-HMAC-SHA256 Credential=AKIA/x/eu-central-1/bedrock/aws4_request, Signature=", i))
	}
	if len(accounts) != 1 || len(reports) != 0 {
		t.Errorf("%d accounts %v, reports %v; want one account and no report", len(accounts), accounts, reports)
	}
	for i := range 20 {
		send("gateway.test", fmt.Sprint("Bearer key-", i))
	}
	if len(accounts) != 21 || len(reports) != 1 || reports[0].Host != "gateway.test" {
		t.Errorf("%d accounts, reports %v; want 21 and one about gateway.test", len(accounts), reports)
	}
	state, err := l.State(ratelimiter.ContextWithAccount(t.Context(), accounts[0]))
	if err != nil || !slices.Equal(state.ManyCredentials, []string{"gateway.test"}) {
		t.Errorf("%v, %v in State", state.ManyCredentials, err)
	}
}

// Whose bearers a token does not tell apart is one account, which is reported once.
func TestTokensThatNameNobody(t *testing.T) {
	var reports []ratelimiter.CredentialsInfo
	l := newLimiter(t, ratelimiter.WithTrace(&ratelimiter.Trace{
		Credentials: func(_ context.Context, i ratelimiter.CredentialsInfo) { reports = append(reports, i) },
	}))
	send := func(claims string) {
		t.Helper()
		req := newRequest(t, t.Context(), "https://llm.example/v1/chat/completions", strings.NewReader(chatBody("m", 1, false)))
		req.Header.Set("Authorization", "Bearer "+jwt(claims))
		resp, err := l.Transport(answering("{}")).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	send(`{"iss":"https://idp.example","aud":"llm","azp":"app","exp":1}`)
	if len(reports) != 0 {
		t.Errorf("reports %v of a token that names an application", reports)
	}
	for i := range 20 {
		send(fmt.Sprintf(`{"iss":"https://idp.example","aud":"llm","exp":%d}`, i))
	}
	if want := (ratelimiter.CredentialsInfo{Host: "llm.example", Nameless: true}); len(reports) != 1 || reports[0] != want {
		t.Errorf("reports %v", reports)
	}
	if accounts := l.Accounts(); len(accounts) != 2 {
		t.Errorf("accounts %v", accounts)
	}
}

// The key is the limiter's own: who wipes what was passed changes no account.
func TestDigestKeyIsCopied(t *testing.T) {
	key := []byte("0123456789abcdef")
	var accounts []string
	l := newLimiter(t, ratelimiter.WithDigestKey(key), ratelimiter.WithTrace(&ratelimiter.Trace{
		Started: func(_ context.Context, i ratelimiter.StartedInfo) { accounts = append(accounts, i.Account) },
	}))
	for range 2 {
		req := newRequest(t, t.Context(), chatURL, strings.NewReader(chatBody("m", 1, false)))
		req.Header.Set("Authorization", "Bearer key")
		resp, err := l.Transport(answering("{}")).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		clear(key)
	}
	if len(accounts) != 2 || accounts[0] != accounts[1] {
		t.Errorf("the accounts are %v", accounts)
	}
}

func TestDigestKeyIsLongEnough(t *testing.T) {
	if _, err := ratelimiter.New(ratelimiter.WithDigestKey(make([]byte, 15))); err == nil {
		t.Error("a key of 15 bytes is taken")
	}
}
