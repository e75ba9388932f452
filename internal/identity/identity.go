// Package identity tells who pays for a request, by what stays the same when credentials
// rotate, so that every process of a fleet finds the same account. It also takes the
// credentials out of what servers say.
//
// No key, token or signature is in an identity: of credentials only digests are.
package identity

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/openai-ratelimiter/ratelimiter/internal/digest"
)

// An Identity is who pays.
type Identity struct {
	Account string
	Host    string
	// Credential says that a credential that may rotate names the account: many of them on
	// one host within an hour are more likely one payer than many.
	Credential bool
	// Nameless says that the credential is a JWT that tells its bearers apart by nothing that its
	// renewal leaves: they are one account, whoever they are.
	Nameless bool
}

// credentialHeaders are the headers that credentials come in, in canonical form, beside those that
// [namesKey]. The first that a request has counts.
var credentialHeaders = [...]string{"Authorization", "Api-Key", "X-Api-Key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key", "Apikey", "X-Litellm-Api-Key", "X-Portkey-Api-Key", "Cf-Aig-Authorization", "Helicone-Auth", "Modal-Key", "X-Functions-Key"}

// namesKey reports whether a header is called a key to an API, as X-ApiKey and X-OpenAI-Api-Key are.
// An Idempotency-Key is none.
func namesKey(header string) bool {
	before, ok := strings.CutSuffix(strings.ToLower(header), "key")
	before = strings.TrimRight(before, "-_")
	return ok && (strings.HasSuffix(before, "api") || strings.HasSuffix(before, "subscription"))
}

// namesCredential reports whether credentials come in a header. A program may have written its name
// in lower case.
func namesCredential(header string) bool {
	return namesKey(header) || slices.Contains(credentialHeaders[:], http.CanonicalHeaderKey(header))
}

// queryCredentials are the parameters of a URL that credentials come in.
var queryCredentials = [...]string{"key", "api-key", "api_key", "apikey", "subscription-key", "access_token"}

// Of returns who pays for a request. key is that of the digests, or nil. In this order:
//
//   - On Azure OpenAI the resource, which is the host: its quota belongs to it, whichever
//     key or token speaks for it, and by whichever of its hosts. Behind a gateway that names
//     the resource in the path, that is added. The common host of a region names none.
//   - On Google Cloud, and where its tokens go through a gateway, the host and the project in
//     the path or the X-Goog-User-Project header.
//   - On Amazon Bedrock the host, which names the region: each request's signature is new, and
//     access keys of roles rotate and differ by pod.
//   - The OpenAI-Organization and OpenAI-Project headers.
//   - The issuer, if any, and subject of a bearer token that is a JWT, unverified: the server
//     verifies it. Without a subject, the client, application or user that it names, or else the
//     claims that its renewal leaves as they are. A JWT without such claims names nobody.
//   - The credential, which may be in the URL.
//
// Signatures, and opaque tokens that are replaced soon, name nobody. The next of the above that
// the request has does, or else the host.
func Of(r *http.Request, key []byte) Identity {
	host := hostOf(r)
	id := Identity{Account: host, Host: host}
	path := strings.ToLower(r.URL.Path)
	name := hostname(host)
	authorization := header(r, "Authorization")

	if resource, ok := segmentAfter(path, azureGateway); ok {
		id.Account += "/" + resource
		return id
	}
	if isAzureResource(name, path) && !isRegional(name) {
		id.Account = azureResource(host)
		return id
	}
	if strings.Contains(authorization, googleToken) || strings.HasSuffix(name, ".googleapis.com") {
		project, _ := segmentAfter(path, "/projects/")
		if project = cmp.Or(project, short(header(r, "X-Goog-User-Project"))); project != "" {
			id.Account += "/projects/" + project
			return id
		}
	}
	if isBedrock(name) {
		return id
	}
	organization, project := header(r, "Openai-Organization"), header(r, "Openai-Project")
	if organization != "" || project != "" {
		id.Account += "/" + short(organization) + "/" + short(project)
		return id
	}
	shared, nameless := "", false // by all bearers of tokens like the request's
	credential := credentialOf(r, func(credential string) (string, bool) {
		if scheme, token, ok := strings.Cut(credential, " "); ok && strings.EqualFold(scheme, "bearer") {
			credential = strings.TrimSpace(token)
		}
		subject, named, ok := subjectOf(credential)
		if !ok {
			return credential, true
		}
		if !named {
			shared, nameless = cmp.Or(shared, subject), true
		}
		return subject, named
	})
	if credential == "" {
		credential, id.Nameless = shared, nameless
	}
	if credential == "" {
		return id
	}
	id.Account += "/" + digest.Keyed(key, credential)
	id.Credential = true
	return id
}

// header is Header.Get for a name in canonical form, which it need not look for.
func header(r *http.Request, name string) string {
	if values := r.Header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// credentialOf returns whom the first credential of a request that names somebody names, or "".
func credentialOf(r *http.Request, names func(credential string) (who string, ok bool)) string {
	for _, name := range credentialHeaders {
		if credential := header(r, name); credential != "" && !isOpaque(credential) {
			if who, ok := names(credential); ok {
				return who
			}
		}
	}
	var others []string
	for name := range r.Header {
		if namesCredential(name) && !isOpaque(header(r, name)) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range others {
		if who, ok := names(header(r, name)); ok {
			return who
		}
	}
	for _, credential := range inQuery(r.URL.RawQuery) {
		if plain, err := url.QueryUnescape(credential); err == nil {
			credential = plain
		}
		if !isOpaque(credential) {
			if who, ok := names(credential); ok {
				return who
			}
		}
	}
	return ""
}

// Credentials with one of these marks tell no payers apart: the same payer soon sends another one,
// or everybody sends the same.
var (
	// googleToken is the prefix of Google's access tokens.
	googleToken = "ya29."
	// opaqueTokens are prefixes of tokens that expire: Google's access tokens, Bedrock's
	// short-term keys, the tokens of GitHub's apps and workflows, and Yandex's IAM tokens.
	opaqueTokens = [...]string{googleToken, "bedrock-api-key-", "ghs_", "t1."}
	// signatures are parts of headers that sign a single request, and of the tokens of
	// Snowflake's sessions. AWS, Baidu and Snowflake have their own. The headers of Oracle,
	// Alibaba, Tencent, Volcengine and Huawei have "Signature=" or "signature=". The last ones are
	// schemes that answer a challenge.
	signatures = [...]string{"AWS4-", "ignature=", "bce-auth-v1/", "Snowflake Token=", "Digest ", "Negotiate ", "NTLM "}
	// placeholders are keys that programs send to servers that need none.
	placeholders = map[string]bool{
		"": true, "-": true, "x": true, "xxx": true, "none": true, "null": true, "empty": true, "dummy": true,
		"fake": true, "unused": true, "not-used": true, "not-needed": true, "placeholder": true, "no-key": true,
		"no-key-required": true, "sk-no-key-required": true,
	}
)

// isOpaque reports whether a credential has one of these marks, is empty, says when it expires
// (Copilot's), or is an encrypted JWT.
func isOpaque(credential string) bool {
	for _, mark := range signatures {
		if strings.Contains(credential, mark) {
			return true
		}
	}
	_, token, ok := strings.Cut(credential, " ")
	if !ok {
		token = credential
	}
	token = strings.TrimSpace(token)
	if strings.EqualFold(token, "bearer") || placeholders[strings.ToLower(token)] {
		return true
	}
	for _, begin := range opaqueTokens {
		if strings.HasPrefix(token, begin) {
			return true
		}
	}
	return strings.Contains(token, ";exp=") || strings.HasPrefix(token, "eyJ") && strings.Count(token, ".") == 4
}

// inQuery returns the credentials among the parameters of a URL's query, as they are written
// there. A parameter's name may be encoded too.
func inQuery(query string) (credentials []string) {
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if value != "" && slices.Contains(queryCredentials[:], strings.ToLower(name)) {
			credentials = append(credentials, value)
		}
	}
	return credentials
}

// hostOf returns the host of a request, without the port that its scheme has anyway and the
// dot that may end a full name.
func hostOf(r *http.Request) string {
	host := strings.ToLower(r.URL.Host)
	if r.URL.Scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ".")
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

// IsAzure reports whether a request goes to Azure OpenAI, whoever pays for it.
func IsAzure(r *http.Request) bool {
	path := strings.ToLower(r.URL.Path)
	return strings.Contains(path, azureGateway) || isAzureResource(hostname(hostOf(r)), path)
}

// azureGateway is where the path of a gateway goes on to a resource.
const azureGateway = "/azure-openai/"

// isAzureResource reports whether a host is an Azure resource's, in any of its clouds, or a path in
// lower case is that of one behind a domain of its owner's. GitHub's models had a host there for
// everybody.
func isAzureResource(host, path string) bool {
	if host == "models.inference.ai.azure.com" {
		return false
	}
	for _, suffix := range [...]string{".azure.com", ".azure.us", ".azure.cn", ".azure-api.net", ".azure-api.us", ".azure-api.cn"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return isRegional(host) || strings.Contains(path, "/openai/deployments/")
}

// isRegional reports whether a host is that of all resources of a region in one of Azure's clouds,
// eastus.api.cognitive.microsoft.com: their keys tell them apart.
func isRegional(host string) bool {
	_, cloud, ok := strings.Cut(host, ".api.cognitive.")
	return ok && (cloud == "microsoft.com" || cloud == "microsoft.us" || cloud == "azure.cn")
}

// azureResource returns the host of a resource's OpenAI endpoint for whichever of its three hosts:
// they share their deployments.
func azureResource(host string) string {
	resource, rest, _ := strings.Cut(host, ".")
	for _, service := range [...]string{"cognitiveservices.azure.", "services.ai.azure."} {
		if cloud, ok := strings.CutPrefix(rest, service); ok {
			return resource + ".openai.azure." + cloud
		}
	}
	return host
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

// A claim is one of a JWT's: a string, or a number, as some issuers write it.
type claim string

// UnmarshalJSON implements json.Unmarshaler. Any other value is no claim.
func (c *claim) UnmarshalJSON(data []byte) error {
	text := strings.TrimSpace(string(data))
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		*c = claim(text)
		return nil
	}
	var s string
	if json.Unmarshal(data, &s) == nil {
		*c = claim(s)
	}
	return nil
}

var (
	// renewals are the claims of a JWT that its renewal changes.
	renewals = [...]string{
		"exp", "iat", "nbf", "auth_time", "timestamp", "jti", "nonce", "sid", "expires", "expires_at", "expires_in", "issued_at",
		"created_at", "updated_at", "session_id", "session_state", "token_id", "at_hash", "c_hash", "aio", "rh", "uti",
	}
	// impersonal are the claims that are of all tokens of an issuer for a server.
	impersonal = [...]string{"iss", "aud", "scope", "scopes", "scp", "ver", "version", "typ", "type", "token_type", "token_use", "idtyp", "acr", "amr"}
)

// subjectOf returns whom a JWT speaks for: its issuer and subject. Some name the client or
// the user in other claims. Of any other all claims count that its renewal leaves as they are.
// named is false where these are the same in everybody's: then the bearers of an issuer's tokens
// are one, lest each renewal begin a budget. A name is also an issuer that is the id of a key:
// some sign with a key of their own.
func subjectOf(token string) (subject string, named, ok bool) {
	if len(token) > longestToken || strings.Count(token, ".") != 2 {
		return "", false, false
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return "", false, false
	}
	var claims struct {
		Issuer  claim `json:"iss"`
		Subject claim `json:"sub"`
		Client  claim `json:"client_id"`
		Okta    claim `json:"cid"`
		Party   claim `json:"azp"`
		App     claim `json:"appid"`
		Object  claim `json:"oid"`
		User    claim `json:"user_id"`
	}
	if json.Unmarshal(data, &claims) != nil {
		return "", false, false
	}
	if who := cmp.Or(claims.Subject, claims.Client, claims.Okta, claims.Party, claims.App, claims.Object, claims.User); who != "" {
		return string("jwt\x00" + claims.Issuer + "\x00" + who), true, true
	}
	var lasting map[string]json.RawMessage
	_ = json.Unmarshal(data, &lasting) // as it could be before
	for _, name := range renewals {
		delete(lasting, name)
	}
	maps.DeleteFunc(lasting, func(_ string, value json.RawMessage) bool { return string(value) == `""` || string(value) == "null" })
	if len(lasting) == 0 {
		return "", false, true
	}
	text, err := json.Marshal(lasting) // in order
	for _, name := range impersonal {
		delete(lasting, name)
	}
	return "jwt\x00" + string(text), len(lasting) > 0 || isKeyID(string(claims.Issuer)), err == nil
}

// isKeyID reports whether an issuer is the id of a key, and no name or address: long, and with
// figures.
func isKeyID(issuer string) bool {
	const shortest = 16
	return len(issuer) >= shortest && strings.ContainsAny(issuer, "0123456789") && !strings.ContainsAny(issuer, "./: ")
}
