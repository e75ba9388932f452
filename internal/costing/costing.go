// Package costing estimates what a request will cost before it is sent, from its body
// alone: [JSON] and [Multipart] return an [Estimate].
//
// A body is read twice and never decoded. The first pass covers the top level: the model,
// the caps and the positions of the rest, since keys may come in any order and the last of
// several counts. The second goes through the parts that cost something. Text is counted
// in place; text with escapes goes through one fixed buffer. Time is linear in the body's
// length, and memory does not depend on it.
//
// The rules are OpenAI's where it has published them, and otherwise stated here; each is
// documented where it is applied. They cover the token figures of models, not their
// limits or prices.
package costing

import (
	"bytes"
	"cmp"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// Estimate is what a request's body shows of its cost. No figure is negative or above
// 1<<40, whatever the body holds.
type Estimate struct {
	// Model is the body's, cut to 256 bytes. If neither the body nor a deployment names
	// one, it is the endpoint's default, or empty.
	Model string
	// Input is the tokens of everything that is sent to the model.
	Input int64
	// Guessed is the part of Input and Output that may turn out much smaller: content
	// that is not seen or is charged by its size, and the dearest of several choices.
	Guessed int64
	// Output is the tokens that the answers may have together: the cap that the
	// body declares, or the size of the images it asks for, times Choices.
	Output int64
	// Choices is how many answers are generated: the larger of n and best_of, for
	// each prompt. At least 1, at most 1<<20.
	Choices int64
	// Declared means that the body bounds its output. Without it Output is 0, and the
	// caller has to predict the output.
	Declared bool
	// Images is how many images are asked for; 0 on endpoints that make none.
	Images int64

	// Previous and Conversation are what a response continues: the ids of a
	// response and of a conversation, whose items are input as well but stand on
	// the server. Ids of more than 256 bytes are left out.
	Previous, Conversation string
	// Passing is the part of Input that does not carry over to a request that continues
	// this response: instructions, tools and the format of the answer.
	Passing int64
	// Functions says that there are functions in a chat, which models are shown in a form
	// that nobody has published: Input is not sure to have all of them.
	Functions bool

	// Estimated is the part of Input that [Sampled] has estimated, and Most what Input is
	// at most then. Where all is counted, both are 0.
	Estimated, Most int64

	Stream       bool // the answer is to be streamed
	IncludeUsage bool // and its usage is to come with it
}

const (
	// maxCost is what any figure is cut to: far above every limit there is, and
	// low enough that the ledger's arithmetic cannot overflow.
	maxCost = 1 << 40
	// maxChoices likewise.
	maxChoices = 1 << 20
	// maxN is the largest n or best_of that counts. The API rejects those above 128, so
	// they count as 1.
	maxN = 128
	// maxNamed is the length of the longest name that is kept.
	maxNamed = 256
)

// JSON estimates a request with a JSON body. If that is malformed or cut off, the part
// that could be read counts. If it names no model, which Azure allows, the rules are those
// of a model with the deployment's name. The counter must not be nil, and must return
// neither less than 0 nor more than a few tokens for each byte.
func JSON(e wire.Endpoint, deployment string, body []byte, counter tokens.Counter) Estimate {
	if e == wire.None {
		return Estimate{}
	}
	return newReader(body, counter).json(e, deployment)
}

// Sampled is [JSON] for when an estimate of the text of a large body will do: 100 KB take a
// seventh of the time. It is within 3 % of what JSON says of ordinary text; of one that is made
// to deceive it may be anything up to Most.
func Sampled(e wire.Endpoint, deployment string, body []byte, counter tokens.Counter) Estimate {
	if e == wire.None {
		return Estimate{}
	}
	r := newReader(body, counter)
	r.sample.begin(len(body))
	return r.json(e, deployment)
}

func (r *reader) json(e wire.Endpoint, deployment string) Estimate {
	defer r.release()
	var f fields
	r.skim(&f)
	est := r.estimate(e, deployment, &f)
	if s := &r.sample; s.stretch > 0 && s.seen+s.elsewhere < len(r.buf)/2 {
		// Most of the body is no text: the windows are too few.
		s.begin(s.seen)
		r.guessed = 0
		est = r.estimate(e, deployment, &f)
	}
	return est
}

// Multipart is [JSON] for a multipart/form-data body, in which images and audio are sent.
// It skips files, except for the headers of images and audio.
func Multipart(e wire.Endpoint, deployment, contentType string, body []byte, counter tokens.Counter) Estimate {
	switch e {
	case wire.ImageGenerations, wire.ImageEdits, wire.ImageVariations, wire.Transcriptions, wire.Translations:
	default:
		return Estimate{}
	}
	r := newReader(body, counter)
	defer r.release()

	var f fields
	r.form(contentType, &f)
	return r.estimate(e, deployment, &f)
}

// fields is the top level of a body. A mark is the position of a value, 0 if there is
// none. Strings are raw, with their escapes.
type fields struct {
	model         []byte
	models        mark // OpenRouter's, the first of which is tried first
	n, bestOf     int64
	cap           int64
	declared      bool
	partialImages int64
	size          []byte
	quality       []byte
	fidelity      []byte
	output        []byte // output_format
	frames        int64
	prompt        mark
	input         mark
	questions     mark
	state         mark // what OpenRouter calls a decision's input
	agent         mark
	instructions  mark
	suffix        mark
	messages      mark
	tools         mark
	functions     mark
	format        mark // response_format of chat
	text          mark // of responses, with a format in it
	prediction    mark
	images        mark
	previous      []byte
	conversation  []byte

	stream, includeUsage bool
	prewarm              bool // prepares the cache, and generates nothing

	legacy bool // parameters are there that only DALL·E takes

	// Of a form.
	form       bool
	promptText []byte
	pictures   pictures
	audio      int64 // tokens
}

// A mark is the position of a value in the body.
type mark = int

// skim reads the top level.
func (r *reader) skim(f *fields) {
	if r.peek() != '{' {
		r.fail()
		return
	}
	r.enter('{')
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "model":
			f.model = r.str()
		case "models":
			f.models = r.mark()
		case "n":
			f.n = r.choices()
		case "best_of":
			f.bestOf = r.choices()
		case "max_tokens", "max_completion_tokens", "max_output_tokens":
			// The largest of several counts, lest a small one hide the one that the
			// server applies. A negative one means no cap in some clients, and is
			// never valid.
			if n, ok := r.number(); ok && n >= 0 {
				f.cap, f.declared = max(f.cap, n), true
			}
		case "stream":
			f.stream = r.isTrue()
		case "stream_options":
			f.includeUsage = r.flag("include_usage")
		case "prompt_cache_options":
			f.prewarm = r.flag("prewarm")
		case "output_format":
			f.output = r.str()
		case "frame_count":
			f.frames, _ = r.number()
		case "style":
			f.legacy = r.given() || f.legacy
		case "messages":
			f.messages = r.mark()
		case "prompt":
			f.prompt = r.mark()
		case "input":
			f.input = r.mark()
		case "questions":
			f.questions = r.mark()
		case "state":
			f.state = r.mark()
		case "agent":
			f.agent = r.mark()
		case "instructions":
			f.instructions = r.mark()
		case "suffix":
			f.suffix = r.mark()
		case "tools":
			f.tools = r.mark()
		case "functions":
			f.functions = r.mark()
		case "response_format":
			f.legacy = r.peek() == '"' || f.legacy
			f.format = r.mark()
		case "text":
			f.text = r.mark()
		case "prediction":
			f.prediction = r.mark()
		case "previous_response_id":
			f.previous = r.str()
		case "conversation":
			f.conversation = r.id()
		case "image", "images":
			f.images = r.mark()
		case "partial_images":
			f.partialImages, _ = r.number()
		case "size":
			f.size = r.str()
		case "quality":
			f.quality = r.str()
		case "input_fidelity":
			f.fidelity = r.str()
		default:
			r.skip()
		}
	}
}

// choices reads n or best_of.
func (r *reader) choices() int64 {
	n, _ := r.number()
	return plausible(n)
}

func plausible(n int64) int64 {
	if n > maxN {
		return 1
	}
	return n
}

// flag reads an object's member that is true or not.
func (r *reader) flag(name string) (yes bool) {
	if !r.enter('{') {
		return false
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == name {
			yes = r.isTrue()
		} else {
			r.skip()
		}
	}
	return yes
}

// id reads an id that stands alone or in an object.
func (r *reader) id() (id []byte) {
	if r.peek() == '"' {
		return r.str()
	}
	if !r.enter('{') {
		return nil
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == "id" {
			id = r.str()
		} else {
			r.skip()
		}
	}
	return id
}

// estimate applies the endpoint's rules to what the top level says.
func (r *reader) estimate(e wire.Endpoint, deployment string, f *fields) Estimate {
	if e == wire.Agents && len(f.model) == 0 && r.at(f.agent) {
		f.model = r.modelOf()
	}
	if len(f.model) == 0 && r.at(f.models) && r.peek() == '[' && r.enter('[') && r.more() {
		f.model = r.str()
	}
	if f.prewarm {
		f.cap, f.declared = 0, true
	}
	est := Estimate{
		Model:        f.name(),
		Choices:      clamp(f.n, 1, maxChoices),
		Declared:     f.declared,
		Stream:       f.stream,
		IncludeUsage: f.includeUsage,
	}
	if deployment == "" {
		est.Model = cmp.Or(est.Model, defaultModel(e))
	}
	r.setModel(cmp.Or(est.Model, deployment))

	output := f.cap
	switch e {
	case wire.Chat:
		est.Input, est.Functions = r.chat(f)
	case wire.Responses:
		est.Choices = 1
		est.Input, est.Passing = r.responses(f)
		est.Previous, est.Conversation = idOf(f.previous), idOf(f.conversation)
	case wire.Completions:
		var prompts int64
		est.Input, prompts = r.completions(f)
		est.Choices = clamp(max(f.n, f.bestOf, 1)*prompts, 1, maxChoices)
		if !f.declared {
			output, est.Declared = defaultMaxTokens, true
		}
	case wire.ImageGenerations, wire.ImageEdits, wire.ImageVariations:
		est.Images, est.Declared, output = est.Choices, true, 0
		if e != wire.ImageVariations { // DALL·E 2 alone makes them
			est.Input, output = r.imagery(f)
		}
	default:
		// Nothing is generated, or nothing that a body could bound.
		est.Choices, est.Declared, output = 1, false, 0
		switch e {
		case wire.Embeddings, wire.Moderations:
			est.Input, _ = r.prompts(f.input)
			if f.input == 0 && r.at(f.messages) { // vLLM's
				est.Input = r.messages()
			}
		case wire.Decisions:
			est.Input = r.decisions(f)
		case wire.Speech:
			est.Input = r.speech(f)
		case wire.Transcriptions, wire.Translations:
			est.Input = r.transcription(f)
		}
	}
	est.Input = clamp(est.Input+r.sample.late(), 0, maxCost)
	est.Passing = clamp(est.Passing, 0, est.Input)
	if s := &r.sample; s.estimated > 0 {
		est.Estimated = clamp(s.estimated, 0, est.Input)
		est.Most = clamp(est.Input-est.Estimated+s.most, est.Input, maxCost)
	}
	est.Output = clamp(clamp(output, 0, maxCost)*est.Choices, 0, maxCost)
	est.Guessed = clamp(r.guessed, 0, est.Input+est.Output)
	return est
}

// defaultModel returns what a request is for that names no model: what is of a kind with
// one model alone. The endpoints of images had defaults that are gone (openai-go v3.99,
// image.go: "specify a model explicitly"); there it is nobody's.
func defaultModel(e wire.Endpoint) string {
	switch e {
	case wire.Moderations:
		return "omni-moderation-latest"
	case wire.Agents: // the agent's, which stands on the server
		return "agents"
	}
	return ""
}

// modelOf reads the model of an object that has one.
func (r *reader) modelOf() (model []byte) {
	if !r.enter('{') {
		return nil
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == "model" {
			model = r.str()
		} else {
			r.skip()
		}
	}
	return model
}

// name returns the model's.
func (f *fields) name() string {
	if f.form { // where a backslash is itself
		return string(f.model[:min(len(f.model), maxNamed)])
	}
	return nameOf(f.model)
}

// nameOf returns a string as it stands in the body, cut to maxNamed bytes.
func nameOf(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[:min(len(raw), maxNamed)])
	}
	var name [maxNamed]byte
	return string(unescapeInto(name[:0], raw))
}

// idOf is nameOf for what would be another's if it were cut.
func idOf(raw []byte) string {
	if len(raw) > maxNamed {
		return ""
	}
	return nameOf(raw)
}

func clamp(n, low, high int64) int64 {
	return min(max(n, low), high)
}
