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

// Of returns who pays for a request. key is that of the digests, or nil. In this order:
//
//   - On Azure OpenAI the resource, which is the host: its quota belongs to it, whichever
//     key or token speaks for it. Behind a gateway that names the resource in the path,
//     that is added.
//   - On Google Cloud the host and the project in the path: its tokens are opaque, and
//     new every hour.
//   - On Amazon Bedrock, and wherever a request is signed with SigV4, the host, which
//     names the region: each request's signature is new, and access keys of roles rotate
//     and differ by pod.
//   - The OpenAI-Organization and OpenAI-Project headers.
//   - The issuer and subject of a bearer token that is a JWT, unverified: the server
//     verifies it.
//   - The credential.
func Of(r *http.Request, key []byte) Identity {
	host := strings.ToLower(r.URL.Host)
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
	if project, ok := segmentAfter(path, "/projects/"); ok && strings.HasSuffix(name, ".googleapis.com") {
		id.Account += "/projects/" + project
		return id
	}
	if strings.HasPrefix(authorization, "AWS4-HMAC-SHA256") || isBedrock(name) {
		return id
	}
	organization, project := r.Header.Get("Openai-Organization"), r.Header.Get("Openai-Project") // canonical, which costs nothing
	if organization != "" || project != "" {
		id.Account += "/" + short(organization) + "/" + short(project)
		return id
	}
	credential := cmp.Or(authorization, r.Header.Get("Api-Key"), r.Header.Get("X-Api-Key"), r.Header.Get("X-Goog-Api-Key"))
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
	for _, suffix := range [...]string{".azure.com", ".azure.us", ".azure.cn", ".azure-api.net"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return strings.Contains(strings.ToLower(path), "/openai/deployments/")
}

// isBedrock reports whether a host is Amazon Bedrock's: bedrock-runtime.REGION.amazonaws.com,
// bedrock-mantle.REGION.api.aws.
func isBedrock(host string) bool {
	return strings.HasPrefix(host, "bedrock") &&
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

// subjectOf returns whom a JWT speaks for: its issuer and subject.
func subjectOf(token string) (string, bool) {
	if !strings.HasPrefix(token, "eyJ") || len(token) > longestToken || strings.Count(token, ".") != 2 {
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
	}
	if json.Unmarshal(data, &claims) != nil || claims.Issuer == "" || claims.Subject == "" {
		return "", false
	}
	return "jwt\x00" + claims.Issuer + "\x00" + claims.Subject, true
}
