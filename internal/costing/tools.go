package costing

import (
	"bytes"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
)

// What the OpenAI cookbook publishes (How to count tokens with tiktoken, 7), and
// verified there against the API's usage: a function, its first property, each
// property, each value of an enum, and all functions together.
const (
	funcInit       = 7
	funcInitCl100k = 10 // gpt-4 and gpt-3.5
	propInit       = 3
	propKey        = 3
	enumInit       = -3
	enumItem       = 3
	funcEnd        = 12
)

// The cookbook's tools have flat parameters. What they leave open is read so:
// properties within properties, array items and alternatives cost what they would
// cost at the top; titles, defaults, patterns and bounds cost nothing.

// toolset returns the tokens of a request's tools, of both spellings.
func (r *reader) toolset(tools, functions mark) (total int64) {
	for _, m := range []mark{tools, functions} {
		if r.at(m) {
			total += r.tools(0)
		}
	}
	if total > 0 {
		total += funcEnd
	}
	return total
}

func (r *reader) tools(depth int) (total int64) {
	if !r.enterBelow(depth, '[') {
		return 0
	}
	for r.more() {
		total += r.tool(depth)
	}
	return total
}

// tool reads a function, in chat's form or flat, or another tool. Of those that
// OpenAI runs itself (web search, file search, MCP servers) only what the body says
// about them is known; they count as a function with that description.
func (r *reader) tool(depth int) int64 {
	if r.peek() != '{' {
		r.skip()
		return 0
	}
	if r.encoding == tokens.CL100kBase {
		return funcInitCl100k + r.function(depth)
	}
	return funcInit + r.function(depth)
}

func (r *reader) function(depth int) (total int64) {
	if !r.enterBelow(depth, '{') {
		return 0
	}
	var name, description []byte
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "function", "custom":
			total += r.function(depth + 1)
		case "name", "server_label":
			name = r.str()
		case "description", "server_description":
			description = r.str()
		case "parameters", "input_schema":
			n, _, _ := r.schema(depth)
			total += n
		case "format": // of a custom tool: the grammar of its input
			total += r.grammar(depth)
		case "tools": // of a namespace
			total += r.tools(depth + 1)
		default:
			r.skip()
		}
	}
	return total + r.line(name, nil, description)
}

func (r *reader) grammar(depth int) (total int64) {
	if !r.enterBelow(depth, '{') {
		return 0
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "grammar": // chat wraps it once more
			total += r.grammar(depth + 1)
		case "syntax", "definition":
			total += r.text()
		default:
			r.skip()
		}
	}
	return total
}

// schema reads a JSON schema, and returns what is to go into its line beside its
// name; that of a function's parameters as a whole has none.
func (r *reader) schema(depth int) (total int64, kind, description []byte) {
	if !r.enterBelow(depth, '{') {
		return 0, nil, nil
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "type":
			kind = r.schemaType()
		case "description":
			description = r.str()
		case "enum":
			total += r.enum()
		case "properties", "patternProperties", "$defs", "definitions":
			total += r.properties(depth + 1)
		case "items", "additionalProperties", "not", "if", "then", "else", "anyOf", "oneOf", "allOf", "prefixItems":
			total += r.subschemas(depth + 1)
		default:
			r.skip()
		}
	}
	return total, kind, description
}

// subschema reads a schema that has no name of its own.
func (r *reader) subschema(depth int) int64 {
	total, kind, description := r.schema(depth)
	return total + r.line(nil, kind, description)
}

// subschemas reads one, or an array of them.
func (r *reader) subschemas(depth int) (total int64) {
	if r.peek() != '[' {
		return r.subschema(depth)
	}
	r.enter('[')
	for r.more() {
		total += r.subschema(depth)
	}
	return total
}

// schemaType reads a schema's type; of several (nullable ones) the first.
func (r *reader) schemaType() (kind []byte) {
	if r.peek() != '[' {
		return r.str()
	}
	r.enter('[')
	for r.more() {
		if s := r.str(); kind == nil {
			kind = s
		}
	}
	return kind
}

func (r *reader) enum() int64 {
	if !r.enter('[') {
		return 0
	}
	total := int64(enumInit)
	for r.more() {
		total += enumItem
		total += r.value()
	}
	return max(total, 0)
}

func (r *reader) properties(depth int) (total int64) {
	if !r.enter('{') {
		return 0
	}
	for name, ok := r.rawKey(); ok; name, ok = r.rawKey() {
		n, kind, description := r.schema(depth)
		total += propKey + n + r.line(name, kind, description)
	}
	if total > 0 {
		total += propInit
	}
	return total
}

// line returns the tokens of a function's or property's line, as the cookbook
// writes it: name:type:description, without a full stop at its end.
func (r *reader) line(name, kind, description []byte) int64 {
	written := false
	for _, part := range [...][]byte{name, kind, bytes.TrimSuffix(description, []byte("."))} {
		if len(part) == 0 {
			continue
		}
		if written {
			r.write([]byte(":"))
		}
		r.add(part)
		written = true
	}
	return r.sum()
}

// format reads a response_format, or the format of a response's text. The schema
// goes into the prompt as it is written, under a heading (OpenAI cookbook, harmony
// response format); what the heading costs beside the name is formatInit.
func (r *reader) format(depth int) (total int64) {
	if !r.enterBelow(depth, '{') {
		return 0
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "json_schema":
			total += r.format(depth + 1)
		case "name", "description":
			total += r.text()
		case "schema":
			total += formatInit + r.measure(r.raw())
		default:
			r.skip()
		}
	}
	return total
}

// formatInit is the tokens of "\n\n# Response Formats\n\n## " and of the lines'
// ends after it.
const formatInit = 7
