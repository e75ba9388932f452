// Package identity tells who pays for a request, by what stays the same when credentials
// rotate, so that every process of a fleet finds the same account.
//
// No key, token or signature is in an identity: of credentials only digests are.
package identity

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
)

// An Identity is who pays.
type Identity struct {
	Account string
	Host    string
	// Credential says that the account was told by a credential that may rotate: many of
	// them on one host within an hour are one payer more likely than many.
	Credential bool
}

// Credentials are the headers that credentials come in, in canonical form, the first first.
var Credentials = [...]string{"Authorization", "Api-Key", "X-Api-Key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key"}

// Of returns who pays for a request. key is that of the digests, or nil. In this order:
//
//   - On Azure OpenAI the resource, which is the host: its quota belongs to it, whichever
//     key or token speaks for it. Behind a gateway that names the resource in the path,
//     that is added.
//   - On Google Cloud, and where its tokens go through a gateway, the host and the project in
//     the path: the tokens are opaque, and new every hour.
//   - On Amazon Bedrock, and wherever a request is signed with SigV4, the host, which
//     names the region: each request's signature is new, and access keys of roles rotate
//     and differ by pod.
//   - The OpenAI-Organization and OpenAI-Project headers.
//   - The issuer, if any, and subject of a bearer token that is a JWT, unverified: the server
//     verifies it.
//   - The credential.
func Of(r *http.Request, key []byte) Identity {
	host := hostOf(r)
	id := Identity{Account: host, Host: host}
	path := strings.ToLower(r.URL.Path)
	name := hostname(host)
	authorization := r.Header.Get("Authorization")

	if resource, ok := segmentAfter(path, "/azure-openai/"); ok {
		id.Account += "/" + resource
		return id
	}
	if isAzure(name, path) {
		return id
	}
	if project, ok := segmentAfter(path, "/projects/"); ok && (strings.HasSuffix(name, ".googleapis.com") || strings.Contains(authorization, googleToken)) {
		id.Account += "/projects/" + project
		return id
	}
	if strings.HasPrefix(authorization, "AWS4-") || isBedrock(name) {
		return id
	}
	organization, project := r.Header.Get("Openai-Organization"), r.Header.Get("Openai-Project") // canonical, which costs nothing
	if organization != "" || project != "" {
		id.Account += "/" + short(organization) + "/" + short(project)
		return id
	}
	credential := ""
	for _, name := range Credentials {
		credential = cmp.Or(credential, r.Header.Get(name))
	}
	if scheme, token, ok := strings.Cut(credential, " "); ok && strings.EqualFold(scheme, "bearer") {
		credential = strings.TrimSpace(token)
	}
	if credential == "" {
		return id
	}
	if subject, ok := subjectOf(credential); ok {
		credential = subject
	}
	id.Account += "/" + digest.Keyed(key, credential)
	id.Credential = true
	return id
}

// googleToken begins Google's access tokens.
const googleToken = "ya29."

// hostOf returns the host of a request, without the port that its scheme has anyway.
func hostOf(r *http.Request) string {
	host := strings.ToLower(r.URL.Host)
	if r.URL.Scheme == "http" {
		return strings.TrimSuffix(host, ":80")
	}
	return strings.TrimSuffix(host, ":443")
}

func hostname(host string) string {
	if !strings.Contains(host, ":") {
		return host // most have no port, and the error would cost an allocation
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// isAzure reports whether a host is an Azure resource's, in any of its clouds, or a path
// is that of one behind a domain of its owner's.
func isAzure(host, path string) bool {
	for _, suffix := range [...]string{".azure.com", ".azure.us", ".azure.cn", ".azure-api.net", ".azure-api.us", ".azure-api.cn"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return strings.Contains(strings.ToLower(path), "/openai/deployments/")
}

// isBedrock reports whether a host is Amazon Bedrock's: bedrock-runtime.REGION.amazonaws.com,
// bedrock-mantle.REGION.api.aws, vpce-ID.bedrock-runtime.REGION.vpce.amazonaws.com.
func isBedrock(host string) bool {
	return (strings.HasPrefix(host, "bedrock") || strings.Contains(host, ".bedrock")) &&
		(strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".api.aws") || strings.HasSuffix(host, ".amazonaws.com.cn"))
}

// segmentAfter returns the segment of a path that follows what is given.
func segmentAfter(path, before string) (string, bool) {
	_, after, ok := strings.Cut(path, before)
	segment, _, _ := strings.Cut(after, "/")
	return short(segment), ok && segment != ""
}

// short is a name that a request brings, without case and surrounding space, bounded.
func short(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if len(name) > 128 {
		return "sha256:" + digest.Of(name)
	}
	return name
}

// longestToken is the longest that is looked into.
const longestToken = 16 << 10

// subjectOf returns whom a JWT speaks for: its issuer and subject. Some name the client in
// place of a subject, and Z.AI's the part of the key that is no secret.
func subjectOf(token string) (string, bool) {
	if len(token) > longestToken || strings.Count(token, ".") != 2 {
		return "", false
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return "", false
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
		Client  string `json:"client_id"`
		Party   string `json:"azp"`
		Key     string `json:"api_key"`
	}
	if json.Unmarshal(data, &claims) != nil {
		return "", false
	}
	subject := cmp.Or(claims.Subject, claims.Client, claims.Party, claims.Key)
	return "jwt\x00" + claims.Issuer + "\x00" + subject, subject != ""
}
