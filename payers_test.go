package ratelimiter_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/backend/memory"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// jwt is a token with these claims.
func jwt(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part([]byte(claims)) + ".x"
}

// Two processes on one backend, whose credentials rotate on their own, find the same account, so
// that they have one budget. Accounts that nothing else tells apart have names.
func TestWhoPaysInAFleet(t *testing.T) {
	const (
		budget  = 6
		bedrock = "https://bedrock-mantle.us-west-2.api.aws/openai/v1/responses"
		runtime = "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1/chat/completions"
		corp    = "https://llm.corp.example/v1/responses"
		azure   = "https://res.openai.azure.com/openai/v1/responses"
		vertex  = "https://us-central1-aiplatform.googleapis.com/v1/projects/p1/locations/us-central1/endpoints/openapi/chat/completions"
		gemini  = "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"
	)
	// What is sent by a process for the n-th time.
	type credential func(process, n int) http.Header
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	sigV4 := func(region string) credential {
		return func(process, n int) http.Header {
			return header("X-Amz-Date", fmt.Sprintf("20261201T00%02d%02dZ", process, n), "X-Amz-Security-Token", fmt.Sprint("session-", process, "-", n),
				"Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=ASIA%d%d/20261201/%s/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=%d%d", process, n, region, process, n))
		}
	}
	bearer := func(format string) credential {
		return func(process, n int) http.Header {
			return header("Authorization", "Bearer "+fmt.Sprintf(format, process, n))
		}
	}
	token := func(claims string) credential { // renewed each time
		return func(process, n int) http.Header {
			return header("Authorization", "Bearer "+jwt(fmt.Sprintf(`{%s,"iat":%d,"exp":%d,"jti":"%d-%d","nonce":"%[4]d%[5]d"}`, claims, 100*n+process, 3600+n, process, n)))
		}
	}
	entra := `"iss":"https://sts.windows.net/tenant/","aud":"https://cognitiveservices.azure.com","sub":"s1","oid":"s1","appid":"app"`
	for _, tt := range []struct {
		name string
		url  [2]string // of each process
		key  [2]credential
		by   [2]string // accounts, where they are named
		same bool
	}{
		{"SigV4 on Bedrock", [2]string{bedrock, bedrock}, [2]credential{sigV4("us-west-2"), sigV4("us-west-2")}, [2]string{}, true},
		{"SigV4 on Bedrock's runtime", [2]string{runtime, runtime}, [2]credential{sigV4("us-west-2"), sigV4("us-west-2")}, [2]string{}, true},
		{"SigV4 on another host", [2]string{corp, corp}, [2]credential{sigV4("us-west-2"), sigV4("us-west-2")}, [2]string{}, true},
		{"Bedrock's opaque tokens", [2]string{bedrock, bedrock}, [2]credential{bearer("opaque-%d-%d"), bearer("opaque-%d-%d")}, [2]string{}, true},
		{"Bedrock's short-term keys", [2]string{bedrock, bedrock}, [2]credential{bearer("bedrock-api-key-%d%d"), bearer("bedrock-api-key-%d%d")}, [2]string{}, true},
		{"Bedrock's short-term keys behind a gateway", [2]string{corp, corp}, [2]credential{bearer("bedrock-api-key-%d%d"), bearer("bedrock-api-key-%d%d")}, [2]string{}, true},
		{"SigV4 and a token of Bedrock's", [2]string{bedrock, bedrock}, [2]credential{sigV4("us-west-2"), bearer("opaque-%d-%d")}, [2]string{}, true},
		{"Entra on Azure", [2]string{azure, azure}, [2]credential{token(entra), token(entra)}, [2]string{}, true},
		{"Entra and a key on Azure, by two hosts", [2]string{azure, "https://res.cognitiveservices.azure.com/openai/v1/responses"},
			[2]credential{token(entra), func(int, int) http.Header { return header("Api-Key", "0123456789") }}, [2]string{}, true},
		{"Entra on another host", [2]string{corp, corp}, [2]credential{token(entra), token(entra)}, [2]string{}, true},
		{"a workload's JWT", [2]string{corp, corp}, [2]credential{token(`"iss":"https://k8s","sub":"system:serviceaccount:a:b"`), token(`"iss":"https://k8s","sub":"system:serviceaccount:a:b"`)}, [2]string{}, true},
		{"a JWT of an application without a subject", [2]string{corp, corp}, [2]credential{token(`"iss":"i","azp":"app"`), token(`"iss":"i","azp":"app"`)}, [2]string{}, true},
		{"a JWT that names nobody", [2]string{corp, corp}, [2]credential{token(`"iss":"i","aud":"a"`), token(`"iss":"i","aud":"a"`)}, [2]string{}, true},
		{"Google's hourly tokens", [2]string{vertex, vertex}, [2]credential{bearer("ya29.%d-%d"), bearer("ya29.%d-%d")}, [2]string{}, true},
		{"Google's hourly tokens without a project", [2]string{gemini, gemini}, [2]credential{bearer("ya29.%d-%d"), bearer("ya29.%d-%d")}, [2]string{}, true},
		{"one account by its name, of many keys", [2]string{corp, corp}, [2]credential{bearer("key-%d-%d"), bearer("key-%d-%d")}, [2]string{"a", "a"}, true},

		{"two regions of Bedrock's", [2]string{bedrock, strings.Replace(bedrock, "west-2", "east-1", 1)}, [2]credential{sigV4("us-west-2"), sigV4("us-east-1")}, [2]string{}, false},
		{"two of Azure's resources", [2]string{azure, strings.Replace(azure, "res", "other", 1)}, [2]credential{token(entra), token(entra)}, [2]string{}, false},
		{"two of Google's projects", [2]string{vertex, strings.Replace(vertex, "p1", "p2", 1)}, [2]credential{bearer("ya29.%d-%d"), bearer("ya29.%d-%d")}, [2]string{}, false},
		{"two subjects", [2]string{corp, corp}, [2]credential{token(`"iss":"i","sub":"s"`), token(`"iss":"i","sub":"t"`)}, [2]string{}, false},
		{"two applications without a subject", [2]string{corp, corp}, [2]credential{token(`"iss":"i","azp":"app"`), token(`"iss":"i","azp":"other"`)}, [2]string{}, false},
		{"two accounts on a host, by their names", [2]string{corp, corp}, [2]credential{sigV4("us-west-2"), sigV4("us-west-2")}, [2]string{"a", "b"}, false},
		{"two accounts on Bedrock, by their names", [2]string{bedrock, bedrock}, [2]credential{sigV4("us-west-2"), sigV4("us-west-2")}, [2]string{"a", "b"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.New(openaitest.WithHeaders(false)) // which would show what others use
				b := memory.New()
				var processes [2]*ratelimiter.Limiter
				for i := range processes {
					options := []ratelimiter.Option{ratelimiter.WithBackend(b), ratelimiter.WithLimits("m", ratelimiter.Limits{RPM: budget})}
					if tt.by[i] != "" {
						options = append(options, ratelimiter.WithAccount(tt.by[i]))
					}
					processes[i] = newLimiter(t, options...)
				}
				for n := range 1 + 2*budget {
					if n == 1 { // the slow start is over, and the bucket full
						time.Sleep(2 * time.Minute)
					}
					for i, l := range processes {
						body := `{"model":"m","input":"Hello!","max_output_tokens":1,"messages":[{"role":"user","content":"Hello!"}]}`
						req := newRequest(t, ratelimiter.ContextWithMaxWait(t.Context(), 0), tt.url[i], strings.NewReader(body))
						for name, values := range tt.key[i](i, n) {
							req.Header[name] = values
						}
						resp, err := l.Transport(srv.Direct()).RoundTrip(req)
						if err != nil {
							if !errors.Is(err, ratelimiter.ErrMaxWait) {
								t.Fatal(err)
							}
							continue
						}
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if resp.StatusCode != http.StatusOK {
							t.Fatal(resp.StatusCode)
						}
					}
				}
				accounts := int64(2)
				if tt.same {
					accounts = 1
				}
				// Margins hold back the last of them.
				if got := srv.Account("m").Admitted - 2; got > accounts*budget || got < accounts*budget-2 {
					t.Errorf("%d calls got through; want %d", got, accounts*budget)
				}
				if one, two := processes[0].Accounts(), processes[1].Accounts(); slices.Equal(one, two) != tt.same || len(one) != 1 || len(two) != 1 {
					t.Errorf("accounts %v and %v", one, two)
				}
			})
		})
	}
}
