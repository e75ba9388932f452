package wire

import (
	"net/http"
	"net/url"
	"strings"
)

// Endpoint is the accounting a request falls under.
type Endpoint uint8

// None is every request that is not limited: GETs, websocket upgrades, batches, files,
// and all paths that are not listed here.
const (
	None Endpoint = iota
	Chat
	Completions
	Responses
	Embeddings
	ImageGenerations
	ImageEdits
	ImageVariations
	Speech
	Transcriptions
	Translations
	Moderations
	// Decisions answers questions about its input, for the tokens of that.
	Decisions
	// Agents are turns that run on the server: of sessions, their events, and the
	// invocations of automations. What they will use nobody knows.
	Agents
	// PerRequest is what no path has by itself: a request and nothing else.
	PerRequest
)

var endpointNames = [...]string{
	None:             "none",
	Chat:             "chat/completions",
	Completions:      "completions",
	Responses:        "responses",
	Embeddings:       "embeddings",
	ImageGenerations: "images/generations",
	ImageEdits:       "images/edits",
	ImageVariations:  "images/variations",
	Speech:           "audio/speech",
	Transcriptions:   "audio/transcriptions",
	Translations:     "audio/translations",
	Moderations:      "moderations",
	Decisions:        "decisions",
	Agents:           "agents",
	PerRequest:       "requests",
}

// String returns the endpoint's path below the base, such as "chat/completions".
func (e Endpoint) String() string {
	if int(e) < len(endpointNames) {
		return endpointNames[e]
	}
	return endpointNames[None]
}

// Classify returns the accounting that r falls under and the deployment it addresses, where
// the path names one: that of the classic Azure surface
// ({endpoint}/openai/deployments/{deployment}/...), in Cloudflare's gateway
// (.../azure-openai/{resource}/{deployment}/...), or the model of OpenAI's first surface
// (/engines/{model}/...). Host and base path do not matter, nor does the case of what is not
// a name. Only POSTs are limited, which leaves out websocket upgrades: they are GETs.
// Classify does not allocate, unless the deployment's name is percent-encoded or the route
// has capitals.
func Classify(r *http.Request) (e Endpoint, deployment string) {
	if r.Method != http.MethodPost || r.URL == nil {
		return None, ""
	}
	if r.URL.RawPath == "" {
		// Path is decoded already: decoding it again would misread a %.
		return classify(r.URL.Path)
	}
	return ClassifyPath(r.URL.EscapedPath())
}

// ClassifyPath is [Classify] for calls without HTTP. The path is that of a POST
// in its percent-encoded form; a query is ignored.
func ClassifyPath(path string) (e Endpoint, deployment string) {
	path, _, _ = strings.Cut(path, "?")
	e, deployment = classify(path)
	if plain, err := url.PathUnescape(deployment); err == nil {
		deployment = plain
	}
	return e, deployment
}

// classify looks at the path's last two segments, so any base path will do. Ids that
// follow (chat/completions/{id}, responses/{id}/cancel) make a path unknown, which is
// right: none of those routes generates anything.
func classify(path string) (e Endpoint, deployment string) {
	path, deployment = addressed(path)
	parent, last := cutLast(path)
	_, parent = cutLast(parent)
	parent, last = plainly(parent), plainly(last)
	switch last {
	case "completions":
		switch parent {
		case "chat", "agents": // Mistral's
			e = Chat
		case "usage": // organization/usage/completions
		default:
			e = Completions
		}
	case "responses":
		e = Responses
	case "compact": // generates and is billed like any response
		if parent == "responses" {
			e = Responses
		}
	case "embeddings":
		e = Embeddings
	case "moderations":
		e = Moderations
	case "decisions":
		e = Decisions
	case "sessions", "events", "invocations":
		if runsAgent(path) {
			e = Agents
		}
	case "generations", "edits", "variations":
		if parent == "images" {
			switch last {
			case "generations":
				e = ImageGenerations
			case "edits":
				e = ImageEdits
			default:
				e = ImageVariations
			}
		}
	case "speech", "transcriptions", "translations":
		if parent == "audio" {
			switch last {
			case "speech":
				e = Speech
			case "transcriptions":
				e = Transcriptions
			default:
				e = Translations
			}
		}
	}
	if e == None {
		return None, ""
	}
	return e, deployment
}

// addressed returns the deployment that a path names, and the route behind it; without one,
// the path. The last one counts: a gateway's base path may contain another.
func addressed(path string) (route, deployment string) {
	route = path
	for {
		segment, after, ok := strings.Cut(path, "/")
		if !ok {
			return route, deployment
		}
		path = strings.TrimLeft(after, "/")
		var name, rest string
		switch {
		case strings.EqualFold(segment, "deployments"):
			name, rest, _ = strings.Cut(path, "/")
		case strings.EqualFold(segment, "engines"):
			name, rest, _ = strings.Cut(path, "/")
			if isVersion(name) || isVersion(rest) { // Docker's model runner: /engines/v1, /engines/{runner}/v1
				continue
			}
		case strings.EqualFold(segment, "azure-openai"):
			var resource string
			resource, rest, _ = strings.Cut(path, "/")
			name, rest, _ = strings.Cut(rest, "/")
			if isVersion(resource) || isVersion(rest) || isRoute(name) {
				continue // a base path of that name
			}
		default:
			continue
		}
		if name != "" && rest != "" {
			route, deployment, path = rest, name, rest
		}
	}
}

// isVersion reports whether a path begins with the version of an API, as v1.
func isVersion(path string) bool {
	return len(path) > 1 && path[0]|0x20 == 'v' && '0' <= path[1] && path[1] <= '9' &&
		(len(path) == 2 || path[2] == '/' || len(path) > 3 && path[3] == '/')
}

// isRoute reports whether a segment begins a route, so that it names no deployment.
func isRoute(segment string) bool {
	for _, s := range [...]string{"chat", "audio", "images", "openai", "deployments"} {
		if strings.EqualFold(segment, s) {
			return true
		}
	}
	return false
}

// plainly is a segment that is no name, as it is compared.
func plainly(segment string) string {
	if strings.IndexByte(segment, '%') >= 0 {
		if plain, err := url.PathUnescape(segment); err == nil {
			segment = plain
		}
	}
	return strings.ToLower(segment)
}

// cutLast cuts off a path's last segment. Slashes that end it or stand twice count for
// nothing.
func cutLast(path string) (before, last string) {
	path = strings.TrimRight(path, "/")
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// runsAgent reports whether a path is agents/sessions, agents/sessions/{id}/events or
// agents/automations/{id}/invocations.
func runsAgent(path string) bool {
	path, last := cutLast(path)
	if last = plainly(last); last != "sessions" {
		of := "sessions"
		if last == "invocations" {
			of = "automations"
		}
		path, _ = cutLast(path) // the id
		if path, last = cutLast(path); plainly(last) != of {
			return false
		}
	}
	_, parent := cutLast(path)
	return plainly(parent) == "agents"
}
