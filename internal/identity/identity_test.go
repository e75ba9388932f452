package identity

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func token(iss, sub, signature string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256","typ":"JWT"}`) + "." + part(fmt.Sprintf(`{"iss":%q,"sub":%q,"exp":%q}`, iss, sub, signature)) + "." + part(signature)
}

// jwt is a token with these claims.
func jwt(claims string) string {
	return "eyJh." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
}

// renewed is a JWT's claims after so many renewals.
func renewed(times int) string {
	claims := `{"team":"a"`
	for _, name := range renewals {
		claims += fmt.Sprintf(`,%q:"%d"`, name, times)
	}
	return claims + "}"
}

// padded pads each part of a token.
func padded(token string) string { return strings.ReplaceAll(token, ".", "==.") + "=" }

func request(url string, headers ...string) *http.Request {
	r, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		panic(err) // the test's own
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// Azure is told by its hosts and by its paths.
func TestIsAzure(t *testing.T) {
	for url, want := range map[string]bool{
		"https://r.openai.azure.com/openai/v1/responses":                      true,
		"https://R.OpenAI.Azure.com.:443/openai/v1/responses":                 true,
		"https://r.openai.azure.com:8443/openai/v1/responses":                 true,
		"https://r.services.ai.azure.com/openai/v1/responses":                 true,
		"https://r.openai.azure.us/openai/v1/responses":                       true,
		"https://x.azure-api.net/v1/responses":                                true,
		"https://eastus.api.cognitive.microsoft.com/openai/v1/responses":      true,
		"https://usgovarizona.api.cognitive.microsoft.us/openai/v1/responses": true,
		"https://x.api.cognitive.example/openai/v1/responses":                 false,
		"https://ai.corp/OpenAI/Deployments/d/chat/completions":               true,
		"https://gw.example/v1/acc/Azure-OpenAI/res/dep/chat/completions":     true,
		"https://models.inference.ai.azure.com/chat/completions":              false,
		"https://api.openai.com/v1/responses":                                 false,
		"https://azure.com.example/v1/responses":                              false,
		"https://gw.example/v1/responses?next=/openai/deployments/d/x":        false,
		"https://us-central1-aiplatform.googleapis.com/v1/projects/p1/x/y/z":  false,
	} {
		if got := IsAzure(request(url)); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

// What rotates changes nothing, and what tells payers apart does.
func TestIdentity(t *testing.T) {
	const (
		openai  = "https://api.openai.com/v1/chat/completions"
		azure   = "https://res.openai.azure.com/openai/deployments/d/chat/completions"
		bedrock = "https://bedrock-mantle.us-west-2.api.aws/openai/v1/responses"
		vertex  = "https://us-central1-aiplatform.googleapis.com/v1/projects/p1/locations/us-central1/endpoints/openapi/chat/completions"
		gemini  = "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"
		gateway = "https://gateway.ai.example/v1/acc/gw/azure-openai/res1/dep/chat/completions"
		portkey = "https://api.portkey.ai/v1/responses"
		sigv4   = "AWS4-HMAC-SHA256 Credential=AKIA1/20261128/us-west-2/bedrock/aws4_request, Signature="
	)
	lower := func(credential string) *http.Request {
		r := request(openai)
		r.Header["authorization"] = []string{credential}
		return r
	}
	for _, x := range []struct {
		name string
		a, b *http.Request
		same bool
	}{
		{"two keys under a name in lower case", lower("Bearer sk-1"), lower("Bearer sk-2"), false},
		{"a key under a name in lower case", lower("Bearer sk-1"), request(openai, "Authorization", "Bearer sk-1"), true},
		{"two keys", request(openai, "Authorization", "Bearer sk-1"), request(openai, "Authorization", "Bearer sk-2"), false},
		{"a key, whichever header brings it", request(openai, "Authorization", "Bearer sk-1"), request(openai, "Api-Key", "sk-1"), true},
		{"a key, and the same behind another scheme", request(openai, "Authorization", "Bearer sk-1"), request(openai, "Authorization", "Basic sk-1"), false},
		{"a scheme's case", request(openai, "Authorization", "Bearer sk-1"), request(openai, "Authorization", "bearer  sk-1"), true},
		{"two hosts", request(openai, "Authorization", "Bearer sk-1"), request("https://api.groq.com/openai/v1/chat/completions", "Authorization", "Bearer sk-1"), false},
		{"two keys of an organization", request(openai, "Authorization", "Bearer sk-1", "OpenAI-Organization", "org"), request(openai, "Authorization", "Bearer sk-2", "OpenAI-Organization", " ORG"), true},
		{"two projects", request(openai, "OpenAI-Project", "a"), request(openai, "OpenAI-Project", "b"), false},
		{"Azure's keys", request(azure, "Api-Key", "1"), request(azure, "Api-Key", "2"), true},
		{"Azure's key and token", request(azure, "Api-Key", "1"), request(azure, "Authorization", "Bearer "+token("i", "s", "x")), true},
		{"Azure's clouds", request("https://r.openai.azure.us/openai/v1/responses", "Api-Key", "1"), request("https://r.openai.azure.us/openai/v1/responses", "Api-Key", "2"), true},
		{"a resource's hosts", request("https://res.cognitiveservices.azure.com/openai/deployments/d/chat/completions"), request(azure), true},
		{"a Foundry resource's hosts", request("https://res.services.ai.azure.com/openai/v1/responses"), request(azure), true},
		{"a resource's hosts in another cloud", request("https://res.cognitiveservices.azure.us/openai/v1/responses"), request("https://res.openai.azure.us/openai/v1/responses"), true},
		{"one name in two clouds", request("https://res.cognitiveservices.azure.us/openai/v1/responses"), request("https://res.cognitiveservices.azure.com/openai/v1/responses"), false},
		{"Foundry's resources", request("https://a.services.ai.azure.com/openai/v1/responses"), request("https://b.services.ai.azure.com/openai/v1/responses"), false},
		{"a region's common host", request("https://eastus.api.cognitive.microsoft.com/openai/deployments/d/chat/completions"), request("https://westus.api.cognitive.microsoft.com/openai/deployments/d/chat/completions"), false},
		{"two resources by a region's common host", request("https://eastus.api.cognitive.microsoft.com/openai/deployments/d/chat/completions", "Api-Key", "one1"), request("https://eastus.api.cognitive.microsoft.com/openai/deployments/d/chat/completions", "Api-Key", "two2"), false},
		{"a resource by a region's common host", request("https://eastus.api.cognitive.microsoft.com/openai/deployments/d/chat/completions", "Api-Key", "one1"), request("https://eastus.api.cognitive.microsoft.com/openai/v1/responses", "Api-Key", "one1"), true},
		{"two resources by a region's common host in China", request("https://chinaeast2.api.cognitive.azure.cn/openai/v1/responses", "Api-Key", "one1"), request("https://chinaeast2.api.cognitive.azure.cn/openai/v1/responses", "Api-Key", "two2"), false},
		{"Azure's resources", request(azure), request(strings.Replace(azure, "res", "other", 1)), false},
		{"a deployment in any case", request("https://ai.corp/OpenAI/Deployments/d/chat/completions", "Api-Key", "1"), request("https://ai.corp/openai/deployments/d/chat/completions", "Api-Key", "2"), true},
		{"Azure behind a gateway", request(gateway, "Api-Key", "1"), request(gateway, "Api-Key", "2"), true},
		{"two resources behind a gateway", request(gateway), request(strings.Replace(gateway, "res1", "res2", 1)), false},
		{"signatures", request("https://llm.corp/v1/responses", "Authorization", sigv4+"1"), request("https://llm.corp/v1/responses", "Authorization", sigv4+"2"), true},
		{"Bedrock's tokens", request(bedrock, "Authorization", "Bearer 1"), request(bedrock, "Authorization", "Bearer 2"), true},
		{"Bedrock's regions", request(bedrock), request(strings.Replace(bedrock, "west-2", "east-1", 1)), false},
		{"Google's tokens", request(vertex, "Authorization", "Bearer ya29.1"), request(vertex, "Authorization", "Bearer ya29.2"), true},
		{"two of Google's keys for a project", request(vertex, "X-Goog-Api-Key", "one1"), request(vertex, "X-Goog-Api-Key", "two2"), true},
		{"Google's projects", request(vertex), request(strings.Replace(vertex, "p1", "p2", 1)), false},
		{"a JWT that was renewed", request(openai, "Authorization", "Bearer "+token("i", "s", "1")), request(openai, "Authorization", "Bearer "+token("i", "s", "2")), true},
		{"two subjects", request(openai, "Authorization", "Bearer "+token("i", "s", "1")), request(openai, "Authorization", "Bearer "+token("i", "t", "1")), false},
		{"two issuers", request(openai, "Authorization", "Bearer "+token("i", "s", "1")), request(openai, "Authorization", "Bearer "+token("j", "s", "1")), false},
		{"a JWT without a subject", request(openai, "Authorization", "Bearer "+token("i", "", "1")), request(openai, "Authorization", "Bearer "+token("i", "", "2")), true},
		{"two issuers without a subject", request(openai, "Authorization", "Bearer "+token("i", "", "1")), request(openai, "Authorization", "Bearer "+token("j", "", "1")), false},
		{"SenseNova's JWT, by its key's id", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"ak","exp":2,"nbf":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"nbf":3,"exp":4,"iss":"ak"}`)), true},
		{"a JWT without a subject, of two tenants", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","tenant":{"id":1}}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","tenant":{"id":2}}`)), false},
		{"a JWT without a subject that was renewed", request(openai, "Authorization", "Bearer "+jwt(renewed(1))), request(openai, "Authorization", "Bearer "+jwt(renewed(2))), true},
		{"JWTs that say only when they expire", request(openai, "Authorization", "Bearer "+jwt(`{"exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"exp":2}`)), true},
		{"a JWT that says only when it expires, and none", request(openai, "Authorization", "Bearer "+jwt(`{"exp":1}`)), request(openai), true},
		{"JWTs that say nothing", request(openai, "Authorization", "Bearer "+jwt(`{}`)), request(openai), true},
		{"a directory's JWT of a tenant", request(openai, "Authorization", "Bearer "+jwt(`{"tid":"t","aio":"1","rh":"1","uti":"1"}`)), request(openai, "Authorization", "Bearer "+jwt(`{"tid":"t","aio":"2","rh":"2","uti":"2"}`)), true},
		{"a provider's JWT of a session", request(openai, "Authorization", "Bearer "+jwt(`{"org":"o","session_state":"1","at_hash":"1","expires_at":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"org":"o","session_state":"2","at_hash":"2","expires_at":2}`)), true},
		{"an object of a directory", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","oid":"a"}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","oid":"b"}`)), false},
		{"an object of a directory, for another audience", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","oid":"a","aud":"x"}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","oid":"a","aud":"y"}`)), true},
		{"a JWT that names nobody, renewed", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"https://idp.example","aud":"x","exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"https://idp.example","aud":"x","exp":2}`)), true},
		{"JWTs of two issuers that name nobody", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"https://idp.example"}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"https://other.example"}`)), false},
		{"a JWT that is too long to be looked into", request(openai, "Authorization", "Bearer "+jwt(`{"sub":"s","exp":1}`+strings.Repeat(" ", longestToken))), request(openai, "Authorization", "Bearer "+jwt(`{"sub":"s","exp":2}`+strings.Repeat(" ", longestToken))), false},
		{"what only looks like a JWT", request(openai, "Authorization", "Bearer eyJ.!.x"), request(openai, "Authorization", "Bearer eyJ.!.y"), false},
		{"SigV4a", request("https://llm.corp/v1/responses", "Authorization", "AWS4-ECDSA-P256-SHA256 Credential=A, Signature=1"), request("https://llm.corp/v1/responses", "Authorization", "AWS4-ECDSA-P256-SHA256 Credential=A, Signature=2"), true},
		{"SigV4 in another order", request("https://llm.corp/v1/responses", "Authorization", sigv4+"1"), request("https://llm.corp/v1/responses", "Authorization", "AWS4-HMAC-SHA256 Signature=2,Credential=B"), true},
		{"Bedrock's private endpoint", request("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/openai/v1/responses", "Authorization", "Bearer 1"), request("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/openai/v1/responses", "Authorization", "Bearer 2"), true},
		{"API Management of the government's cloud", request("https://x.azure-api.us/v1/responses", "Api-Key", "1"), request("https://x.azure-api.us/v1/responses", "Api-Key", "2"), true},
		{"two subscriptions", request("https://ai.corp/v1/responses", "Ocp-Apim-Subscription-Key", "1"), request("https://ai.corp/v1/responses", "Ocp-Apim-Subscription-Key", "2"), false},
		{"Google's tokens behind a gateway", request("https://gw.example/google-vertex-ai/v1/projects/p1/x/chat/completions", "Authorization", "Bearer ya29.1"), request("https://gw.example/google-vertex-ai/v1/projects/p1/x/chat/completions", "Authorization", "Bearer ya29.2"), true},
		{"Google's projects behind a gateway", request("https://gw.example/v1/projects/p1/chat/completions", "Authorization", "Bearer ya29.1"), request("https://gw.example/v1/projects/p2/chat/completions", "Authorization", "Bearer ya29.1"), false},
		{"two keys in a path with projects", request("https://gw.example/v1/projects/p1/chat/completions", "Authorization", "Bearer sk-1"), request("https://gw.example/v1/projects/p1/chat/completions", "Authorization", "Bearer sk-2"), false},
		{"a JWT without an issuer", request(openai, "Authorization", "Bearer "+token("", "s", "1")), request(openai, "Authorization", "Bearer "+token("", "s", "2")), true},
		{"a JWT of a client", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","client_id":"c","exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","client_id":"c","exp":2}`)), true},
		{"a JWT of a party", request(openai, "Authorization", "Bearer "+jwt(`{"azp":"c","exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"azp":"c","exp":2}`)), true},
		{"Z.AI's JWT", request(openai, "Authorization", "Bearer "+jwt(`{"api_key":"k","exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"api_key":"k","exp":2}`)), true},
		{"a JWT that is padded", request(openai, "Authorization", "Bearer "+padded(token("i", "s", "1"))), request(openai, "Authorization", "Bearer "+token("i", "s", "2")), true},
		{"a JWT whose header is indented", request(openai, "Authorization", "Bearer ew0KICAi"+jwt(`{"sub":"s","exp":1}`)), request(openai, "Authorization", "Bearer ew0KICAi"+jwt(`{"sub":"s","exp":2}`)), true},
		{"a JWT whose subject is a number", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","sub":7,"exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","sub":7,"exp":2}`)), true},
		{"two numbers", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","sub":7}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","sub":8}`)), false},
		{"a JWT whose issuer is no name", request(openai, "Authorization", "Bearer "+jwt(`{"iss":["i"],"sub":"s","exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":["i"],"sub":"s","exp":2}`)), true},
		{"an application's JWT", request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","appid":"a","exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"iss":"i","appid":"a","exp":2}`)), true},
		{"Okta's JWT", request(openai, "Authorization", "Bearer "+jwt(`{"cid":"c","exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"cid":"c","exp":2}`)), true},
		{"a gateway's JWT of a user", request(openai, "Authorization", "Bearer "+jwt(`{"user_id":5,"exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"user_id":5,"exp":2}`)), true},
		{"a gateway's JWT of an address", request(openai, "Authorization", "Bearer "+jwt(`{"email":"a@b","exp":1}`)), request(openai, "Authorization", "Bearer "+jwt(`{"email":"a@b","exp":2}`)), true},
		{"two keys in the URL", request(openai + "?key=one1"), request(openai + "?key=two2"), false},
		{"a key in the URL", request(openai + "?API-Key=on%2Be"), request(openai, "Api-Key", "on+e"), true},
		{"a key in the URL beside others", request(openai + "?alt=sse&subscription-key=one1&v=1"), request(openai + "?subscription-key=one1"), true},
		{"parameters that are no key", request(openai + "?api-version=1"), request(openai + "?api-version=2&keys=3"), true},
		{"a key in a header and another in the URL", request(openai+"?key=one1", "Api-Key", "k"), request(openai+"?key=two2", "Api-Key", "k"), true},
		{"Google's tokens without a project", request(gemini, "Authorization", "Bearer ya29.1"), request(gemini, "Authorization", "Bearer ya29.2"), true},
		{"Google's tokens of two projects", request(gemini, "Authorization", "Bearer ya29.1", "X-Goog-User-Project", "p1"), request(gemini, "Authorization", "Bearer ya29.1", "X-Goog-User-Project", "p2"), false},
		{"Google's token and its project, in two places", request(vertex, "Authorization", "Bearer ya29.1"), request("https://us-central1-aiplatform.googleapis.com/v1/x", "Authorization", "Bearer ya29.1", "X-Goog-User-Project", "P1"), true},
		{"Google's keys", request(gemini, "X-Goog-Api-Key", "one1"), request(gemini, "X-Goog-Api-Key", "two2"), false},
		{"Bedrock's short-term keys behind a gateway", request("https://llm.corp/v1/responses", "Authorization", "Bearer bedrock-api-key-1"), request("https://llm.corp/v1/responses", "Authorization", "Bearer bedrock-api-key-2"), true},
		{"two keys of a gateway that has the provider's", request(portkey, "X-Portkey-Api-Key", "one1"), request(portkey, "X-Portkey-Api-Key", "two2"), false},
		{"two keys of a gateway, beside Google's token", request(portkey, "Authorization", "Bearer ya29.1", "X-Portkey-Api-Key", "one1"), request(portkey, "Authorization", "Bearer ya29.1", "X-Portkey-Api-Key", "two2"), false},
		{"two keys of a gateway, beside Bedrock's short-term key", request(portkey, "Authorization", "Bearer bedrock-api-key-1", "X-Portkey-Api-Key", "one1"), request(portkey, "Authorization", "Bearer bedrock-api-key-1", "X-Portkey-Api-Key", "two2"), false},
		{"two keys of a gateway, beside a signature", request(portkey, "Authorization", sigv4+"1", "X-Portkey-Api-Key", "one1"), request(portkey, "Authorization", sigv4+"1", "X-Portkey-Api-Key", "two2"), false},
		{"a key of a gateway, beside Google's tokens", request(portkey, "Authorization", "Bearer ya29.1", "X-Portkey-Api-Key", "one1"), request(portkey, "Authorization", "Bearer ya29.2", "X-Portkey-Api-Key", "one1"), true},
		{"a key of a gateway, beside Bedrock's short-term keys", request(portkey, "Authorization", "Bearer bedrock-api-key-1", "X-Portkey-Api-Key", "one1"), request(portkey, "Authorization", "Bearer bedrock-api-key-2", "X-Portkey-Api-Key", "one1"), true},
		{"two organizations, beside Google's token", request(portkey, "Authorization", "Bearer ya29.1", "OpenAI-Organization", "a"), request(portkey, "Authorization", "Bearer ya29.1", "OpenAI-Organization", "b"), false},
		{"two projects, beside Bedrock's short-term key", request(portkey, "Authorization", "Bearer bedrock-api-key-1", "OpenAI-Project", "a"), request(portkey, "Authorization", "Bearer bedrock-api-key-1", "OpenAI-Project", "b"), false},
		{"two keys in the URL, beside Google's token", request(gemini+"?key=one1", "Authorization", "Bearer ya29.1"), request(gemini+"?key=two2", "Authorization", "Bearer ya29.1"), false},
		{"Google's tokens in the URL", request(gemini + "?access_token=ya29.1"), request(gemini + "?access_token=ya29.2"), true},
		{"two keys in the URL, after Google's tokens", request(gemini + "?access_token=ya29.1&key=one1"), request(gemini + "?access_token=ya29.1&key=two2"), false},
		{"a key in the URL whose parameter's name is encoded", request(openai + "?api%2Dke%79=one1"), request(openai + "?api-key=one1"), true},
		{"two keys in the URL whose parameter's name is encoded", request(openai + "?api%2Dke%79=one1"), request(openai + "?api%2Dke%79=two2"), false},
		{"a provider's key through a gateway", request("https://gateway.ai.cloudflare.com/v1/a/g/compat/chat/completions", "Authorization", "Bearer sk-1", "Cf-Aig-Authorization", "Bearer 1"), request("https://gateway.ai.cloudflare.com/v1/a/g/compat/chat/completions", "Authorization", "Bearer sk-1", "Cf-Aig-Authorization", "Bearer 2"), true},
		{"two users of GitHub's models", request("https://models.inference.ai.azure.com/chat/completions", "Authorization", "Bearer ghp_one1"), request("https://models.inference.ai.azure.com/chat/completions", "Authorization", "Bearer ghp_two2"), false},
		{"two keys behind an empty one", request(openai, "Authorization", "Bearer ", "Api-Key", "one1"), request(openai, "Authorization", "Bearer ", "Api-Key", "two2"), false},
		{"two keys behind a scheme alone", request(openai, "Authorization", "Bearer", "Api-Key", "one1"), request(openai, "Authorization", "Bearer", "Api-Key", "two2"), false},
		{"two keys behind a placeholder", request(portkey, "Authorization", "Bearer Dummy", "X-Portkey-Api-Key", "one1"), request(portkey, "Authorization", "Bearer dummy", "X-Portkey-Api-Key", "two2"), false},
		{"a key behind two placeholders", request(portkey, "Authorization", "Bearer not-needed", "X-Portkey-Api-Key", "one1"), request(portkey, "Authorization", "Bearer EMPTY", "X-Portkey-Api-Key", "one1"), true},
		{"two placeholders", request(openai, "Authorization", "Bearer none"), request(openai, "Authorization", "Bearer sk-no-key-required"), true},
		{"Snowflake's sessions", request("https://acc.snowflakecomputing.com/api/v2/cortex/v1/chat/completions", "Authorization", `Snowflake Token="one1"`), request("https://acc.snowflakecomputing.com/api/v2/cortex/v1/chat/completions", "Authorization", `Snowflake Token="two2"`), true},
		{"Oracle's signatures", request(openai, "Authorization", `Signature version="1",keyId="ocid1.tenancy/u/f",algorithm="rsa-sha256",signature="one1"`), request(openai, "Authorization", `Signature version="1",keyId="ocid1.tenancy/u/f",algorithm="rsa-sha256",signature="two2"`), true},
		{"Volcengine's signatures", request(openai, "Authorization", "HMAC-SHA256 Credential=AK/20260101/r/ark/request, SignedHeaders=host, Signature=1"), request(openai, "Authorization", "HMAC-SHA256 Credential=AK/20260102/r/ark/request, SignedHeaders=host, Signature=2"), true},
		{"Baidu's signatures", request(openai, "Authorization", "bce-auth-v1/AK/2026-01-01T00:00:00Z/1800/host/1"), request(openai, "Authorization", "bce-auth-v1/AK/2026-01-01T00:30:00Z/1800/host/2"), true},
		{"a gateway's signatures, and its keys", request(openai, "Authorization", `hmac username="a", signature="1"`, "Apikey", "one1"), request(openai, "Authorization", `hmac username="a", signature="2"`, "Apikey", "two2"), false},
		{"Yandex's IAM tokens", request(openai, "Authorization", "Bearer t1.9euone.1"), request(openai, "Authorization", "Bearer t1.9eutwo.2"), true},
		{"GitHub's tokens of a workflow", request(openai, "Authorization", "Bearer ghs_one1"), request(openai, "Authorization", "Bearer ghs_two2"), true},
		{"GitHub's tokens of two users", request(openai, "Authorization", "Bearer ghp_one1"), request(openai, "Authorization", "Bearer ghp_two2"), false},
		{"a key that has such a beginning within", request(openai, "Authorization", "Bearer sk-ghs_one1"), request(openai, "Authorization", "Bearer sk-ghs_two2"), false},
		{"Copilot's tokens", request(openai, "Authorization", "Bearer tid=a;exp=1;sku=x:one1"), request(openai, "Authorization", "Bearer tid=a;exp=2;sku=x:two2"), true},
		{"JWTs that are encrypted", request(openai, "Authorization", "Bearer eyJh.one1.a.b.c"), request(openai, "Authorization", "Bearer eyJh.two2.a.b.c"), true},
		{"LiteLLM's keys", request(openai, "X-Litellm-Api-Key", "Bearer one1"), request(openai, "X-Litellm-Api-Key", "Bearer two2"), false},
		{"what answers a challenge", request(openai, "Authorization", "Negotiate one1"), request(openai, "Authorization", "Negotiate two2"), true},
		{"what answers a challenge of Windows", request(openai, "Authorization", "NTLM one1"), request(openai, "Authorization", "NTLM two2"), true},
		{"what answers a challenge with a digest", request(openai, "Authorization", `Digest username="u", response="one1"`), request(openai, "Authorization", `Digest username="u", response="two2"`), true},
		{"a header that is called a key", request(openai, "X-ApiKey", "one1"), request(openai, "X-ApiKey", "two2"), false},
		{"a header that is called a key, with a line", request(openai, "Api_key", "one1"), request(openai, "Api_key", "two2"), false},
		{"a header that is called a subscription's key", request(openai, "X-Subscription-Key", "one1"), request(openai, "X-Subscription-Key", "two2"), false},
		{"two headers that are called keys", request(openai, "X-B-Api-Key", "one1", "X-A-Api-Key", "one1"), request(openai, "X-B-Api-Key", "two2", "X-A-Api-Key", "one1"), true},
		{"a header that is called a key, and is none", request(openai, "X-A-Api-Key", "none", "X-B-Api-Key", "one1"), request(openai, "X-A-Api-Key", "none", "X-B-Api-Key", "two2"), false},
		{"keys that keep a request from being done twice", request(openai, "Idempotency-Key", "one1"), request(openai, "Idempotency-Key", "two2"), true},
		{"Modal's keys", request(openai, "Modal-Key", "one1"), request(openai, "Modal-Key", "two2"), false},
		{"Kong's keys", request(openai, "Apikey", "one1"), request(openai + "?apikey=one1"), true},
		{"a host's full name", request("https://api.openai.com./v1/responses"), request("https://api.openai.com/v1/responses"), true},
		{"a resource's full name", request("https://res.openai.azure.com.:443/openai/v1/responses", "Api-Key", "1"), request("https://res.openai.azure.com/openai/v1/responses", "Api-Key", "2"), true},
		{"a host's own port", request("https://api.openai.com:443/v1/responses"), request("https://api.openai.com/v1/responses"), true},
		{"a host's own port, without TLS", request("http://llm.corp:80/v1/responses"), request("http://llm.corp/v1/responses"), true},
		{"another port", request("https://llm.corp:8443/v1/responses"), request("https://llm.corp/v1/responses"), false},
		{"a host's case and port", request("https://API.openai.com:443/v1/responses"), request("https://api.openai.com:443/v1/responses"), true},
	} {
		a, b := Of(x.a, nil), Of(x.b, nil)
		if (a.Account == b.Account) != x.same {
			t.Errorf("%s: %q and %q", x.name, a.Account, b.Account)
		}
		for _, r := range []*http.Request{x.a, x.b} {
			for _, values := range r.Header {
				if secret := strings.TrimPrefix(values[0], "Bearer "); len(secret) > 3 && strings.Contains(a.Account+b.Account, secret) {
					t.Errorf("%s: a credential is in %q or %q", x.name, a.Account, b.Account)
				}
			}
		}
	}
}

// Who brings no credential, or what programs send where none is needed, is known by the host alone.
func TestNoCredential(t *testing.T) {
	want := Identity{Account: "llm.corp", Host: "llm.corp"}
	for placeholder := range placeholders {
		r := request("https://llm.corp/v1/responses", "Authorization", "Bearer "+placeholder, "Api-Key", placeholder)
		if id := Of(r, nil); id != want {
			t.Errorf("%q: %+v", placeholder, id)
		}
	}
	if id := Of(request("https://llm.corp/v1/responses"), nil); id != want {
		t.Errorf("no credential: %+v", id)
	}
}

func TestDigestKey(t *testing.T) {
	r := request("https://api.openai.com/v1/responses", "Authorization", "Bearer sk-1")
	plain, one, two := Of(r, nil).Account, Of(r, []byte("one")).Account, Of(r, []byte("two")).Account
	if plain == one || one == two || one != Of(r, []byte("one")).Account {
		t.Errorf("%q without a key, %q and %q with two", plain, one, two)
	}
}

// A JWT names somebody by what not all tokens of its issuer have.
func TestNameless(t *testing.T) {
	all := `{"iss":"https://idp.example","exp":1`
	for _, name := range impersonal[1:] {
		all += fmt.Sprintf(`,%q:"x"`, name)
	}
	for credential, want := range map[string]bool{
		"sk-1":                                 false,
		token("https://idp.example", "s", "1"): false,
		jwt(`{"iss":"https://idp.example","oid":"a"}`):           false,
		jwt(`{"iss":"https://idp.example","team":"a"}`):          false,
		jwt(`{"iss":"0123456789abcdef","exp":1}`):                false, // SenseNova's key
		jwt(`{"iss":"gateway","aud":"llm"}`):                     true,
		jwt(`{"iss":"a gateway with 2 keys"}`):                   true,
		jwt(`{"iss":"abcdefghijklmnop"}`):                        true,
		jwt(`{"iss":"0123456789abcde"}`):                         true,
		jwt(`{"iss":"https://idp.example","sub":"","azp":null}`): true,
		jwt(`{"team":"a"}`):                                      false,
		jwt(`{"iss":"https://idp.example","exp":1}`):             true,
		jwt(`{"iss":"accounts.google.com"}`):                     true,
		jwt(`{"iss":"urn:idp"}`):                                 true,
		jwt(`{"iss":"https://idp.example","scope":"a b"}`):       true,
		jwt(`{"scope":"a b"}`):                                   true,
		jwt(`{"exp":1}`):                                         true,
		jwt(`{}`):                                                true,
		jwt(all + "}"):                                           true,
		jwt(all + `,"email":"a@b"}`):                             false,
		jwt(`[]`):                                                false, // no JWT
	} {
		id := Of(request("https://api.openai.com/v1/responses", "Authorization", "Bearer "+credential), nil)
		if id.Nameless != want {
			t.Errorf("%s: %v", credential, id.Nameless)
		}
	}
	// Where another credential of the request names somebody, the token need not.
	for name, token := range map[string]string{"no claims": jwt(`{"exp":1}`), "its issuer's claims": jwt(`{"iss":"https://idp.example","aud":"a"}`)} {
		of := func(key string) Identity {
			return Of(request("https://api.openai.com/v1/responses", "Authorization", "Bearer "+token, "X-Gateway-Api-Key", key), nil)
		}
		if a, b := of("sk-a"), of("sk-b"); a.Nameless || a.Account == b.Account || a != of("sk-a") {
			t.Errorf("%s: %v and %v", name, a, b)
		}
	}
	if a := Of(request("https://api.openai.com/v1/responses", "X-A-Api-Key", jwt(`{"exp":1}`), "X-B-Api-Key", "sk-b"), nil); a.Nameless || !a.Credential {
		t.Errorf("the second of two headers: %v", a)
	}
	// Of two tokens that name nobody, the first tells whose they are.
	of := func(second string) Identity {
		return Of(request("https://api.openai.com/v1/responses", "Authorization", "Bearer "+jwt(`{"iss":"https://idp.example","aud":"a"}`), "X-Api-Key", jwt(second)), nil)
	}
	if a := of(`{"aud":"b"}`); !a.Nameless || a != of(`{"aud":"c"}`) {
		t.Errorf("two tokens: %v", a)
	}
	// Where the host tells who pays, the token need not.
	if Of(request("https://r.openai.azure.com/openai/v1/responses", "Authorization", "Bearer "+jwt(`{"exp":1}`)), nil).Nameless {
		t.Error("a token for an Azure resource")
	}
}

func TestWatch(t *testing.T) {
	var w Watch
	now := time.Unix(1_700_000_000, 0)
	see := func(host string, account int) bool {
		return w.See(now, &Identity{Account: fmt.Sprint(host, "/", account), Host: host, Credential: true})
	}
	for i := range 3 * Many {
		if got := see("rotates", i); got != (i == Many-1) {
			t.Errorf("credential %d: %v", i, got)
		}
		see("few", i%(Many-1))
		now = now.Add(hour / 2 / Many)
	}
	for i := range 3 * Many { // never so many within an hour
		if see("slow", i) {
			t.Errorf("credential %d of a slow host", i)
		}
		now = now.Add(hour / (Many - 2))
	}
	now = now.Add(2 * hour)
	for i := range Many { // until now
		if got := see("slow", -1-i); got != (i == Many-1) {
			t.Errorf("credential %d within an hour after a slow one: %v", i, got)
		}
		now = now.Add(hour / 2 / Many)
	}
	if w.See(now, &Identity{Account: "a", Host: "h"}) {
		t.Error("an identity that is no credential's counts")
	}
	if hosts := w.Hosts(); !slices.Equal(hosts, []string{"rotates", "slow"}) {
		t.Errorf("hosts %v", hosts)
	}
	for i := range 3 {
		nameless := &Identity{Host: "nameless", Nameless: true}
		if got := w.SeeNameless(now, nameless); got != (i == 0) {
			t.Errorf("nameless credential %d: %v", i, got)
		}
		if w.SeeNameless(now, &Identity{Host: "few"}) {
			t.Error("a credential that names somebody is nameless")
		}
	}
	for i := range 2 * mostHosts {
		see(fmt.Sprint("h", i), 0)
		w.SeeNameless(now, &Identity{Host: fmt.Sprint("n", i), Nameless: true})
	}
	for i := range 2 * Many {
		if see("one more", i) || w.SeeNameless(now, &Identity{Host: "one more", Nameless: true}) {
			t.Error("a host that is not watched is reported")
		}
	}
	if n := len(w.hosts); n > mostHosts {
		t.Errorf("%d hosts are watched", n)
	}
}

// FuzzOf: whatever credentials are, nothing of them stands in an account, and a name that a
// request brings makes it no longer than a bound.
func FuzzOf(f *testing.F) {
	f.Add("api.openai.com", "/v1/responses", "Bearer sk-0123456789", "org-1", "proj-1", "0123456789abcdef")
	f.Add("x.openai.azure.com:443", "/azure-openai/r/", "AWS4-HMAC-SHA256 Credential=0123456789/20260101/us-east-1/bedrock/aws4_request", "", "", "")
	f.Add("us-aiplatform.googleapis.com", "/v1/projects/p/x", "bearer eyJh.eyJpc3MiOiJpc3N1ZXItMTIzIiwic3ViIjoic3ViamVjdC0xMjMifQ.signature", "", "", "0123456789")
	f.Fuzz(func(t *testing.T, host, path, authorization, organization, project, key string) {
		r := &http.Request{URL: &url.URL{Host: host, Path: path}, Header: http.Header{
			"Authorization": {authorization}, "Openai-Organization": {organization}, "Openai-Project": {project}, "Api-Key": {key},
		}}
		id := Of(r, nil)
		if len(id.Account) > len(host)*4+2*200 { // lower case may be longer
			t.Errorf("an account of %d bytes", len(id.Account))
		}
		names := strings.ToLower(host + " " + path + " " + organization + " " + project)
		for _, secret := range append(strings.FieldsFunc(authorization, func(r rune) bool { return r == ' ' || r == '/' || r == '.' }), key) {
			if secret = strings.ToLower(secret); len(secret) >= 10 && !strings.Contains(names, secret) && strings.Contains(id.Account, secret) {
				t.Errorf("%q stands in %q", secret, id.Account)
			}
		}
	})
}
