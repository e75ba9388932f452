// Package costing says what a request will cost before it is sent, from its body
// alone: [JSON] and [Multipart] return an [Estimate].
//
// A body is walked over twice and never decoded: once past the top level, for the
// model, the caps and where the rest stands (keys may come in any order, and the
// last of several counts), then through the parts that cost something. Text is
// counted where it stands; what has escapes goes through one fixed buffer. Time is
// linear in the body's length, and memory does not depend on it.
//
// The rules are OpenAI's where it has published them and stated here where it has
// not; each is documented where it is applied. They know the token figures of
// models, not their limits or prices.
package costing

import (
	"bytes"
	"cmp"

	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// Estimate is what a request says about its cost before it is sent. No figure is
// negative or above 1<<40, whatever the body holds.
type Estimate struct {
	// Model is the body's, cut to 256 bytes. Where neither the body nor a deployment
	// names one it is the endpoint's default, or empty.
	Model string
	// Input is the tokens of everything that is sent to the model.
	Input int64
	// Guessed is the part of Input and Output that may turn out to be much less:
	// what is not seen, or charged by its size, or the dearest of several choices.
	Guessed int64
	// Output is the tokens that the answers may have together: the cap that the
	// body declares, or the size of the images it asks for, times Choices.
	Output int64
	// Choices is how many answers are generated: the larger of n and best_of, for
	// each prompt. At least 1, at most 1<<20.
	Choices int64
	// Declared says that the body bounds its output. Without it Output is 0, and
	// what an answer needs has to come from elsewhere.
	Declared bool
	// Images is how many images are asked for; 0 on endpoints that make none.
	Images int64

	// Previous and Conversation are what a response continues: the ids of a
	// response and of a conversation, whose items are input as well but stand on
	// the server. Ids of more than 256 bytes are left out.
	Previous, Conversation string
	// Passing is the part of Input that what continues this response will not
	// find there: instructions, tools and the format of the answer.
	Passing int64

	Stream       bool // the answer is to be streamed
	IncludeUsage bool // and its usage is to come with it
}

const (
	// maxCost is what any figure is cut to: far above every limit there is, and
	// low enough that the ledger's arithmetic cannot overflow.
	maxCost = 1 << 40
	// maxChoices likewise.
	maxChoices = 1 << 20
	// maxN is the most that n or best_of can mean. The API takes none above 128
	// and refuses the rest; that is for it to say, so they count as 1.
	maxN = 128
	// maxNamed is the length of the longest name that is kept.
	maxNamed = 256
)

// JSON estimates a request with a JSON body. Of one that is malformed or cut off, what
// could be read of it counts. Where the body names no model, as on
// Azure it need not, the rules are those of a model with the deployment's name. The
// counter must not be nil, nor return less than 0 or more than a few for each byte.
func JSON(e wire.Endpoint, deployment string, body []byte, counter tokens.Counter) Estimate {
	if e == wire.None {
		return Estimate{}
	}
	r := newReader(body, counter)
	defer r.release()

	var f fields
	r.skim(&f)
	return r.estimate(e, deployment, &f)
}

// Multipart is [JSON] for a multipart/form-data body, as images and audio are sent.
// Files are passed over, but for the headers of images and audio.
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

// fields is what a body's top level says. A mark is where a value stands, 0 where
// there is none; a string is as it stands in the body.
type fields struct {
	model         []byte
	n, bestOf     int64
	cap           int64
	declared      bool
	partialImages int64
	size          []byte
	quality       []byte
	fidelity      []byte
	prompt        mark
	input         mark
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

	gptImage bool // parameters are there that only GPT Image models take
	legacy   bool // or that only DALL·E takes

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
		case "n":
			f.n = r.choices()
		case "best_of":
			f.bestOf = r.choices()
		case "max_tokens", "max_completion_tokens", "max_output_tokens":
			// Where several stand in one body the largest counts, lest a small
			// one hide what the server goes by. Negative ones mean no cap in
			// some clients; none is valid.
			if n, ok := r.number(); ok && n >= 0 {
				f.cap, f.declared = max(f.cap, n), true
			}
		case "stream":
			f.stream = r.isTrue()
		case "stream_options":
			f.includeUsage = r.includesUsage()
		case "background", "moderation", "output_format", "output_compression":
			f.gptImage = r.given() || f.gptImage
		case "style":
			f.legacy = r.given() || f.legacy
		case "messages":
			f.messages = r.mark()
		case "prompt":
			f.prompt = r.mark()
		case "input":
			f.input = r.mark()
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

func (r *reader) includesUsage() (yes bool) {
	if !r.enter('{') {
		return false
	}
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == "include_usage" {
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
	est := Estimate{
		Model:        f.name(),
		Choices:      clamp(f.n, 1, maxChoices),
		Declared:     f.declared,
		Stream:       f.stream,
		IncludeUsage: f.includeUsage,
	}
	if deployment == "" {
		est.Model = cmp.Or(est.Model, defaultModel(e, f))
	}
	r.setModel(cmp.Or(est.Model, deployment))

	output := f.cap
	switch e {
	case wire.Chat:
		est.Input = r.chat(f)
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
		case wire.Speech:
			est.Input = r.speech(f)
		case wire.Transcriptions, wire.Translations:
			est.Input = r.transcription(f)
		}
	}
	est.Input = clamp(est.Input, 0, maxCost)
	est.Passing = clamp(est.Passing, 0, est.Input)
	est.Output = clamp(clamp(output, 0, maxCost)*est.Choices, 0, maxCost)
	est.Guessed = clamp(r.guessed, 0, est.Input+est.Output)
	return est
}

// defaultModel returns what a request is for that names no model: openai-go v3.32,
// image.go. Later versions ask to name one.
func defaultModel(e wire.Endpoint, f *fields) string {
	switch e {
	case wire.ImageEdits:
		return "gpt-image-1.5"
	case wire.ImageVariations:
		return "dall-e-2"
	case wire.ImageGenerations: // dall-e-2, unless a parameter is specific to GPT Image
		if f.gptImage || f.stream || f.partialImages > 0 {
			return "gpt-image-1.5"
		}
		return "dall-e-2"
	case wire.Moderations:
		return "omni-moderation-latest"
	}
	return ""
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
