//lint:file-ignore SA1019 what the SDKs have deprecated is still sent

package costing_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
	goopenai "github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// A row is a call as an SDK makes it, and what it costs.
type row struct {
	name   string
	source string // of the figures
	call   func()
	want   ratelimiter.Cost // its model is the scope's
}

// undeclared is what is reserved for output before any answer was seen, where no
// maximum is declared.
const undeclared = 256

// run sends the calls, which go through client, through a Limiter that has seen
// none, and returns the endpoints that they went to.
func run(t *testing.T, client *http.Client, rows []row) (seen map[wire.Endpoint]bool) {
	seen = map[wire.Endpoint]bool{}
	for _, test := range rows {
		t.Run(test.name, func(t *testing.T) {
			if test.source == "" {
				t.Error("where do the figures come from?")
			}
			var got []ratelimiter.Cost
			limiter, err := ratelimiter.New(ratelimiter.WithTrace(&ratelimiter.Trace{
				Started: func(_ context.Context, i ratelimiter.StartedInfo) { got = append(got, i.Cost) },
			}))
			if err != nil {
				t.Fatal(err)
			}
			var path string
			var body []byte
			client.Transport = limiter.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				endpoint, _ := wire.Classify(r)
				seen[endpoint] = true
				path = r.URL.Path
				body, _ = io.ReadAll(r.Body)
				return nil, errors.New("captured")
			}))
			test.call()
			if len(got) != 1 || got[0] != test.want {
				t.Errorf("%s %.1000q\n got %+v\nwant %+v\nsource: %s", path, body, got, test.want, test.source)
			}
		})
	}
	return seen
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func pngOf(width, height int) []byte {
	var buf bytes.Buffer
	if err := png.Encode(&buf, image.NewAlpha(image.Rect(0, 0, width, height))); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// wavOf returns the header of a mono 16-bit WAV file and silence after it.
func wavOf(rate, seconds int) []byte {
	data := make([]byte, 44+2*rate*seconds)
	copy(data, "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00")
	binary.LittleEndian.PutUint32(data[24:], uint32(rate))
	binary.LittleEndian.PutUint32(data[28:], uint32(2*rate))
	return data
}

func dataURL(kind string, content []byte) string {
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(content)
}

var weather = map[string]any{
	"type": "object",
	"properties": map[string]any{
		"location": map[string]any{"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
		"unit": map[string]any{
			"type": "string", "description": "The unit of temperature to return",
			"enum": []string{"celsius", "fahrenheit"},
		},
	},
	"required": []string{"location"},
}

// In what follows "Say this is a test" has 5 tokens in every encoding, which is
// OpenAI's own example, and prompt_tokens of 5 its reference shows for it.
const (
	say       = "Say this is a test"
	sayTokens = 5
)

// onAzure makes a call as openai-go's package azure does, which would bring the root
// module requirements that nobody else has.
var onAzure = option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	r.URL.Host = "example.openai.azure.com"
	r.URL.Path = "/openai/deployments/Prod-4o" + strings.TrimPrefix(r.URL.Path, "/v1")
	return next(r)
})

// count returns the tokens of what OpenAI gives no figure for.
func count(text string) int64 {
	return int64(tokens.Exact{}.Count("", tokens.O200kBase, []byte(text)))
}

func TestOpenAIGo(t *testing.T) {
	ctx := context.Background()
	var transport http.Client
	client := openai.NewClient(option.WithAPIKey("key"), option.WithMaxRetries(0), option.WithHTTPClient(&transport))

	seen := run(t, &transport, []row{
		{
			"chat",
			"OpenAI cookbook, how to count tokens: 3 a message, 1 for its role, 3 for the reply",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model:    "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(say)},
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: 3 + 1 + sayTokens + 3 + undeclared},
		},
		{
			"chat: two caps, three choices",
			"OPENAI.md 1.3, maximum × n; the larger of two maxima, lest it pass as the smaller",
			func() {
				client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
					Model: "gpt-5-mini",
					Messages: []openai.ChatCompletionMessageParamUnion{
						openai.DeveloperMessage(say), openai.UserMessage(say),
					},
					MaxTokens: openai.Int(1), MaxCompletionTokens: openai.Int(5000), N: openai.Int(3),
					StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
				})
			},
			ratelimiter.Cost{Model: "gpt-5-mini", Requests: 1, Tokens: 2*(3+1+sayTokens) + 3 + 15_000},
		},
		{
			"chat: a tool",
			"OpenAI cookbook: 101 for gpt-4o with this tool",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model: "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{
						openai.SystemMessage("You are a helpful assistant that can answer to questions about the weather."),
						openai.UserMessage("What's the weather like in San Francisco?"),
					},
					Tools: []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
						Name:        "get_current_weather",
						Description: openai.String("Get the current weather in a given location"),
						Parameters:  weather,
					})},
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: 101 + undeclared},
		},
		{
			"chat: images",
			"OpenAI guide, images and vision: 1024 × 1024 costs gpt-4o 765 in high detail, 85 in low",
			func() {
				url := dataURL("image/png", pngOf(1024, 1024))
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model: "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
						openai.TextContentPart(say),
						openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: url}),
						openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: url, Detail: "low"}),
					})},
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: 3 + 1 + sayTokens + 765 + 85 + 3 + undeclared},
		},
		{
			"chat: audio and files",
			"stated rules (docs/CHARGING.md): 10 tokens a second of audio, 16 bytes a token of PDF, 4096 for a file by name",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model: "gpt-audio",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
						openai.InputAudioContentPart(openai.ChatCompletionContentPartInputAudioInputAudioParam{
							Data: base64.StdEncoding.EncodeToString(wavOf(16_000, 2)), Format: "wav",
						}),
						openai.FileContentPart(openai.ChatCompletionContentPartFileFileParam{
							FileData: openai.String(dataURL("application/pdf", make([]byte, 15_999))), Filename: openai.String("a.pdf"),
						}),
						openai.FileContentPart(openai.ChatCompletionContentPartFileFileParam{FileID: openai.String("file-123")}),
					})},
				})
			},
			ratelimiter.Cost{Model: "gpt-audio", Requests: 1, Tokens: 3 + 1 + 21 + 1000 + 4096 + 3 + undeclared},
		},
		{
			"chat: a prediction, a tier",
			"stated rules (docs/CHARGING.md): predicted output is input, the tier changes nothing",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model:    "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(say)},
					Prediction: openai.ChatCompletionPredictionContentParam{
						Content: openai.ChatCompletionPredictionContentContentUnionParam{OfString: openai.String(say)},
					},
					ServiceTier: openai.ChatCompletionNewParamsServiceTierFlex,
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: 3 + 1 + sayTokens + 3 + sayTokens + undeclared},
		},
		{
			"chat: a tool call and its result",
			"hmarr/openai-chat-tokens: 3 for a call; its id is not shown to the model",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model: "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{
						{OfAssistant: &openai.ChatCompletionAssistantMessageParam{
							ToolCalls: []openai.ChatCompletionMessageToolCallUnionParam{{
								OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
									ID: "call_a_long_and_random_name",
									Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{
										Name: "say", Arguments: say,
									},
								},
							}},
						}},
						openai.ToolMessage(say, "call_a_long_and_random_name"),
					},
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: (3 + 1 + 3 + 1 + sayTokens) + (3 + 1 + sayTokens) + 3 + undeclared},
		},
		{
			"chat on Azure: the deployment pays",
			"openai-go v3.32 azure.go: the path is that of the deployment, which is the model's name; OpenAI cookbook",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model:    "Prod-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(say)},
				}, onAzure)
			},
			ratelimiter.Cost{Model: "prod-4o", Requests: 1, Tokens: 3 + 1 + sayTokens + 3 + undeclared},
		},
		{
			"chat: a format",
			"OpenAI cookbook, harmony response format: the schema as it is written, under a heading of 7 tokens and the name",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model:    "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(say)},
					ResponseFormat: openai.ChatCompletionNewParamsResponseFormatUnion{
						OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
							Name: "answer", Schema: map[string]any{"type": "object"}, Strict: openai.Bool(true),
						}},
					},
				})
			},
			ratelimiter.Cost{
				Model: "gpt-4o", Requests: 1,
				Tokens: 3 + 1 + sayTokens + 3 + 7 + 1 + count(`{"type":"object"}`) + undeclared,
			},
		},
		{
			"chat: a refusal",
			"OpenAI's API reference: an assistant's message has it in place of content; cookbook",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model: "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{
						{OfAssistant: &openai.ChatCompletionAssistantMessageParam{Refusal: openai.String(say)}},
						openai.UserMessage(say),
					},
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: 2*(3+1+sayTokens) + 3 + undeclared},
		},
		{
			"chat: a custom tool",
			"stated rule (docs/CHARGING.md): as a function of the cookbook, with its grammar as text",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model:    "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(say)},
					Tools: []openai.ChatCompletionToolUnionParam{{OfCustom: &openai.ChatCompletionCustomToolParam{
						Custom: openai.ChatCompletionCustomToolCustomParam{
							Name: "say", Description: openai.String(say),
							Format: openai.ChatCompletionCustomToolCustomFormatUnionParam{
								OfGrammar: &openai.ChatCompletionCustomToolCustomFormatGrammarParam{
									Grammar: openai.ChatCompletionCustomToolCustomFormatGrammarGrammarParam{Syntax: "regex", Definition: say},
								},
							},
						},
					}}},
				})
			},
			ratelimiter.Cost{
				Model: "gpt-4o", Requests: 1,
				Tokens: 3 + 1 + sayTokens + 3 + 7 + count("say:"+say) + count("regex") + sayTokens + 12 + undeclared,
			},
		},
		{
			"chat: an image for a model with patches",
			"OpenAI guide, images and vision: 1024 patches × 1.62 for 1024 × 1024",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model: "gpt-4.1-mini",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
						openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{
							URL: dataURL("image/png", pngOf(1024, 1024)), Detail: "high",
						}),
					})},
					MaxCompletionTokens: openai.Int(100),
				})
			},
			ratelimiter.Cost{Model: "gpt-4.1-mini", Requests: 1, Tokens: 3 + 1 + 1659 + 3 + 100},
		},
		{
			"chat: a remote image",
			"OpenAI guide, images and vision: 2833, and 5667 for each of at most 8 tiles, for gpt-4o-mini",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model: "gpt-4o-mini",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
						openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "https://example.com/icon.png"}),
					})},
					MaxCompletionTokens: openai.Int(100),
				})
			},
			ratelimiter.Cost{Model: "gpt-4o-mini", Requests: 1, Tokens: 3 + 1 + 2833 + 8*5667 + 3 + 100},
		},
		{
			"completions",
			"openapi.yaml: max_tokens is 16 by default",
			func() {
				client.Completions.New(ctx, openai.CompletionNewParams{
					Model:  "gpt-3.5-turbo-instruct",
					Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String(say)},
					Suffix: openai.String(say), Echo: openai.Bool(true),
				})
			},
			ratelimiter.Cost{Model: "gpt-3.5-turbo-instruct", Requests: 1, Tokens: 2*sayTokens + 16},
		},
		{
			"completions: several prompts, best of several",
			"openapi.yaml: best_of candidates, which is at least n, for each prompt",
			func() {
				client.Completions.New(ctx, openai.CompletionNewParams{
					Model:  "davinci-002",
					Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{say, say, say}},
					N:      openai.Int(2), BestOf: openai.Int(4), MaxTokens: openai.Int(100),
				})
			},
			ratelimiter.Cost{Model: "davinci-002", Requests: 1, Tokens: 3*sayTokens + 1200},
		},
		{
			"completions: token ids",
			"openapi.yaml: each array is a prompt, each id a token",
			func() {
				client.Completions.New(ctx, openai.CompletionNewParams{
					Model:  "davinci-002",
					Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfTokenArrays: [][]int64{{1, 2, 3}, {4, 5}}},
				})
			},
			ratelimiter.Cost{Model: "davinci-002", Requests: 1, Tokens: 5 + 32},
		},
		{
			"embeddings",
			"OpenAI's API reference: 5 prompt_tokens",
			func() {
				client.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: "text-embedding-3-small",
					Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String(say)},
				})
			},
			ratelimiter.Cost{Model: "text-embedding-3-small", Requests: 1, Tokens: sayTokens},
		},
		{
			"embeddings: strings",
			"openapi.yaml: each string is an input",
			func() {
				client.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: "text-embedding-3-small",
					Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{say, say}},
				})
			},
			ratelimiter.Cost{Model: "text-embedding-3-small", Requests: 1, Tokens: 2 * sayTokens},
		},
		{
			"embeddings: token ids",
			"openapi.yaml: each id is a token",
			func() {
				client.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: "text-embedding-3-small",
					Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfTokens: []int64{1, 22, 333}},
				})
			},
			ratelimiter.Cost{Model: "text-embedding-3-small", Requests: 1, Tokens: 3},
		},
		{
			"embeddings: arrays of token ids",
			"openapi.yaml: each id is a token",
			func() {
				client.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: "text-embedding-3-small",
					Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfTokenArrays: [][]int64{{1, 22}, {333}}},
				})
			},
			ratelimiter.Cost{Model: "text-embedding-3-small", Requests: 1, Tokens: 3},
		},
		{
			"responses: instructions",
			"stated rule (docs/CHARGING.md): as chat, instructions are a message",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model:        "gpt-5",
					Instructions: openai.String(say),
					Input:        responses.ResponseNewParamsInputUnion{OfString: openai.String(say)},

					MaxOutputTokens: openai.Int(300), Background: openai.Bool(true),
				})
			},
			ratelimiter.Cost{Model: "gpt-5", Requests: 1, Tokens: 2*(3+1+sayTokens) + 3 + 300},
		},
		{
			"responses: of a response before",
			"stated rule (docs/CHARGING.md): what is not known of it costs nothing",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model: "gpt-5.4", Instructions: openai.String(say), PreviousResponseID: openai.String("resp_1"),
					Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(say)},
				})
			},
			ratelimiter.Cost{Model: "gpt-5.4", Requests: 1, Tokens: 2*(3+1+sayTokens) + 3 + undeclared},
		},
		{
			"responses: of a conversation",
			"stated rule (docs/CHARGING.md): what is not known of it costs nothing",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model: "gpt-5.4",
					Conversation: responses.ResponseNewParamsConversationUnion{
						OfConversationObject: &responses.ResponseConversationParam{ID: "conv_1"},
					},
					Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(say)},
				})
			},
			ratelimiter.Cost{Model: "gpt-5.4", Requests: 1, Tokens: 3 + 1 + sayTokens + 3 + undeclared},
		},
		{
			"responses: items and a tool",
			"OpenAI cookbook: 101 for gpt-4o with this tool",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model: "gpt-4o",
					Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
						responses.ResponseInputItemParamOfInputMessage(responses.ResponseInputMessageContentListParam{
							responses.ResponseInputContentParamOfInputText("You are a helpful assistant that can answer to questions about the weather."),
						}, "system"),
						responses.ResponseInputItemParamOfMessage("What's the weather like in San Francisco?", "user"),
					}},
					Tools: []responses.ToolUnionParam{{OfFunction: &responses.FunctionToolParam{
						Name:        "get_current_weather",
						Description: openai.String("Get the current weather in a given location."),
						Parameters:  weather,
					}}},
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: 101 + undeclared},
		},
		{
			"responses: a call, its output, an image by name",
			"OpenAI guide, images and vision: no image costs more than 8 tiles; messages as in chat",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model: "gpt-4.1",
					Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
						responses.ResponseInputItemParamOfFunctionCall(say, "call_1", "say"),
						// The struct for it changes from one version of the SDK to the next.
						param.Override[responses.ResponseInputItemUnionParam](map[string]string{
							"type": "function_call_output", "call_id": "call_1", "output": say,
						}),
						responses.ResponseInputItemParamOfInputMessage(responses.ResponseInputMessageContentListParam{
							{OfInputImage: &responses.ResponseInputImageParam{FileID: openai.String("file-1"), Detail: "high"}},
						}, "user"),
					}},
				})
			},
			ratelimiter.Cost{Model: "gpt-4.1", Requests: 1, Tokens: (3 + 3 + 1 + sayTokens) + (3 + sayTokens) + (3 + 1 + 85 + 8*170) + 3 + undeclared},
		},
		{
			"responses: a format, a custom tool, a refusal",
			"as in chat",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model: "gpt-4o",
					Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
						responses.ResponseInputItemParamOfOutputMessage([]responses.ResponseOutputMessageContentUnionParam{
							{OfRefusal: &responses.ResponseOutputRefusalParam{Refusal: say}},
						}, "msg_1", "completed"),
					}},
					Tools: []responses.ToolUnionParam{{OfCustom: &responses.CustomToolParam{Name: "say", Description: openai.String(say)}}},
					Text: responses.ResponseTextConfigParam{Format: responses.ResponseFormatTextConfigUnionParam{
						OfJSONSchema: &responses.ResponseFormatTextJSONSchemaConfigParam{Name: "answer", Schema: map[string]any{"type": "object"}},
					}},
					MaxOutputTokens: openai.Int(100),
				})
			},
			ratelimiter.Cost{
				Model: "gpt-4o", Requests: 1,
				Tokens: 3 + 1 + sayTokens + 3 + 7 + count("say:"+say) + 12 + 7 + 1 + count(`{"type":"object"}`) + 100,
			},
		},
		{
			"responses: a stored prompt",
			"stated rule (docs/CHARGING.md): what is not seen of it costs nothing, what is filled in is text",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model: "gpt-4o",
					Prompt: responses.ResponsePromptParam{ID: "pmpt_1", Variables: map[string]responses.ResponsePromptVariableUnionParam{
						"name": {OfString: openai.String(say)},
					}},
					MaxOutputTokens: openai.Int(100),
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: sayTokens + 100},
		},
		{
			"images/generations: a model without a table",
			"community.openai.com/t/1379464: 7024 for 1024 × 1024 in high quality by OpenAI's calculator",
			func() {
				client.Images.Generate(ctx, openai.ImageGenerateParams{
					Model: "gpt-image-2", Prompt: say, Size: "1024x1024", Quality: "high",
				})
			},
			ratelimiter.Cost{Model: "gpt-image-2", Requests: 1, Tokens: sayTokens + 7024, Images: 1},
		},
		{
			"images/generations: no model",
			"openai-go v3.99 image.go: specify a model explicitly; guide: 6240 is the dearest image",
			func() {
				client.Images.Generate(ctx, openai.ImageGenerateParams{Prompt: say, N: openai.Int(3)})
			},
			ratelimiter.Cost{Requests: 1, Tokens: 3*sayTokens + 3*6240, Images: 3},
		},
		{
			"images/edits: high fidelity",
			"OpenAI guide, images and vision: 4160 more for a square image; 194 as above",
			func() {
				client.Images.Edit(ctx, openai.ImageEditParams{
					Image:  openai.ImageEditParamsImageUnion{OfFile: bytes.NewReader(pngOf(1024, 1024))},
					Prompt: say, Model: "gpt-image-1.5", InputFidelity: "high", Size: "1024x1024", Quality: "low",
				})
			},
			ratelimiter.Cost{Model: "gpt-image-1.5", Requests: 1, Tokens: 194 + 4160 + sayTokens + 272, Images: 1},
		},
		{
			"moderations: no model",
			"openapi.yaml: omni-moderation-latest by default",
			func() {
				client.Moderations.New(ctx, openai.ModerationNewParams{
					Input: openai.ModerationNewParamsInputUnion{OfString: openai.String(say)},
				})
			},
			ratelimiter.Cost{Model: "omni-moderation-latest", Requests: 1, Tokens: sayTokens},
		},
		{
			"images/generations: GPT Image",
			"OpenAI guide, image generation: 1584 for 1024 × 1536 in medium quality",
			func() {
				client.Images.Generate(ctx, openai.ImageGenerateParams{
					Model: "gpt-image-1.5", Prompt: say, N: openai.Int(2), Size: "1024x1536", Quality: "medium",
				})
			},
			ratelimiter.Cost{Model: "gpt-image-1.5", Requests: 1, Tokens: 2*sayTokens + 2*1584, Images: 2},
		},
		{
			"images/generations: DALL·E",
			"OPENAI.md 2: DALL·E has no usage, its limit is of images",
			func() {
				client.Images.Generate(ctx, openai.ImageGenerateParams{Model: "dall-e-3", Prompt: say})
			},
			ratelimiter.Cost{Model: "dall-e-3", Requests: 1, Images: 1},
		},
		{
			"images/edits",
			"community.openai.com/t/1281361: usage of 194 for an image of 1024 × 1024; OpenAI guide: 272 in low quality",
			func() {
				client.Images.Edit(ctx, openai.ImageEditParams{
					Image:  openai.ImageEditParamsImageUnion{OfFileArray: []io.Reader{bytes.NewReader(pngOf(1024, 1024)), bytes.NewReader(pngOf(1024, 1024))}},
					Prompt: say, Model: "gpt-image-1.5", N: openai.Int(1), Size: "1024x1024", Quality: "low",
				})
			},
			ratelimiter.Cost{Model: "gpt-image-1.5", Requests: 1, Tokens: 2*194 + sayTokens + 272, Images: 1},
		},
		{
			"images/variations",
			"OPENAI.md 2: DALL·E 2 alone makes them, its limit is of images",
			func() {
				client.Images.NewVariation(ctx, openai.ImageNewVariationParams{
					Image: bytes.NewReader(pngOf(1024, 1024)), Model: "dall-e-2", N: openai.Int(4),
				})
			},
			ratelimiter.Cost{Model: "dall-e-2", Requests: 1, Images: 4},
		},
		{
			"audio/speech",
			"openapi.yaml: input and instructions are text",
			func() {
				client.Audio.Speech.New(ctx, openai.AudioSpeechNewParams{
					Model: "gpt-4o-mini-tts", Input: say, Instructions: openai.String(say),
				})
			},
			ratelimiter.Cost{Model: "gpt-4o-mini-tts", Requests: 1, Tokens: 2 * sayTokens},
		},
		{
			"audio/transcriptions",
			"stated rule (docs/CHARGING.md): 10 tokens a second",
			func() {
				client.Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{
					File: bytes.NewReader(wavOf(16_000, 60)), Model: "gpt-4o-transcribe", Prompt: openai.String(say),
				})
			},
			ratelimiter.Cost{Model: "gpt-4o-transcribe", Requests: 1, Tokens: 601 + sayTokens},
		},
		{
			"audio/translations",
			"OPENAI.md 2: whisper-1 reports no tokens",
			func() {
				client.Audio.Translations.New(ctx, openai.AudioTranslationNewParams{
					File: bytes.NewReader(wavOf(16_000, 60)), Model: "whisper-1", Prompt: openai.String(say),
				})
			},
			ratelimiter.Cost{Model: "whisper-1", Requests: 1},
		},
		{
			"moderations",
			"OpenAI guide, images and vision: one tile costs 85 + 170; the rule of models that have none of their own",
			func() {
				client.Moderations.New(ctx, openai.ModerationNewParams{
					Model: "omni-moderation-latest",
					Input: openai.ModerationNewParamsInputUnion{OfModerationMultiModalArray: []openai.ModerationMultiModalInputUnionParam{
						openai.ModerationMultiModalInputParamOfText(say),
						openai.ModerationMultiModalInputParamOfImageURL(openai.ModerationImageURLInputImageURLParam{
							URL: dataURL("image/png", pngOf(512, 512)),
						}),
					}},
				})
			},
			ratelimiter.Cost{Model: "omni-moderation-latest", Requests: 1, Tokens: sayTokens + 85 + 170},
		},
		{
			"decisions",
			"cookbook, How to count tokens: a message, its role and the reply are 3 + 1 + 3; the list of questions is 1",
			func() {
				body := map[string]any{"model": "gpt-6-luna", "input": say, "questions": []any{}}
				client.Post(ctx, "decisions", body, nil)
			},
			ratelimiter.Cost{Model: "gpt-6-luna", Requests: 1, Tokens: sayTokens + 3 + 1 + 3 + 1},
		},
		{
			"agents",
			"stated rule (docs of WithEndpoint): a request, of the model that the agent is given",
			func() {
				client.Post(ctx, "agents/sessions", map[string]any{"agent": map[string]any{"model": "gpt-6-sol"}, "input": say}, nil)
			},
			ratelimiter.Cost{Model: "gpt-6-sol", Requests: 1},
		},
		{
			"agents: a saved one",
			"stated rule: where nothing names the model, the agents' together",
			func() {
				client.Post(ctx, "agents/automations/aa_1/invocations", map[string]any{"input": say}, nil)
			},
			ratelimiter.Cost{Model: "agents", Requests: 1},
		},
	})
	for e := wire.None + 1; e != wire.PerRequest; e++ {
		if !seen[e] {
			t.Errorf("no call to %v", e)
		}
	}
}

// pngFile is a square picture as older versions of go-openai want it.
func pngFile(t *testing.T, side int) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(pngOf(side, side)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGoOpenAI(t *testing.T) {
	ctx := context.Background()
	var transport http.Client
	config := goopenai.DefaultConfig("key")
	config.HTTPClient = &transport
	client := goopenai.NewClientWithConfig(config)
	azureConfig := goopenai.DefaultAzureConfig("key", "https://example.openai.azure.com")
	azureConfig.HTTPClient = config.HTTPClient
	azure := goopenai.NewClientWithConfig(azureConfig)

	user := []goopenai.ChatCompletionMessage{{Role: "user", Content: say}}
	run(t, &transport, []row{
		{
			"chat",
			"OpenAI cookbook, how to count tokens; the declared maximum",
			func() {
				client.CreateChatCompletionStream(ctx, goopenai.ChatCompletionRequest{
					Model: "gpt-4", Messages: user, MaxTokens: 512,
					StreamOptions: &goopenai.StreamOptions{IncludeUsage: true},
				})
			},
			ratelimiter.Cost{Model: "gpt-4", Requests: 1, Tokens: 3 + 1 + sayTokens + 3 + 512},
		},
		{
			// Captured: charged 519 for this question and max_tokens 512, whose
			// usage was 12 (OPENAI.md 1.3).
			"chat: Kong's demo",
			"OPENAI.md 1.3: usage of 12; the capture charges the maximum and 7",
			func() {
				client.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
					Model: "gpt-4", MaxTokens: 512,
					Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: "Who is Joseph Conrad?"}},
				})
			},
			ratelimiter.Cost{Model: "gpt-4", Requests: 1, Tokens: 12 + 512},
		},
		{
			"chat on Azure",
			"OpenAI cookbook: a name costs 1 more; the deployment is go-openai's name of the model",
			func() {
				azure.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
					Model: "gpt-35-turbo", N: 2, MaxCompletionTokens: 100,
					Messages: []goopenai.ChatCompletionMessage{{Role: "user", Name: "test", Content: say}},
				})
			},
			ratelimiter.Cost{Model: "gpt-35-turbo", Requests: 1, Tokens: 3 + 1 + 1 + 1 + sayTokens + 3 + 200},
		},
		{
			"chat: functions",
			"OpenAI cookbook: 105 for gpt-4 with this tool",
			func() {
				client.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
					Model: "gpt-4",
					Messages: []goopenai.ChatCompletionMessage{
						{Role: "system", Content: "You are a helpful assistant that can answer to questions about the weather."},
						{Role: "user", Content: "What's the weather like in San Francisco?"},
					},
					Functions: []goopenai.FunctionDefinition{{
						Name: "get_current_weather", Description: "Get the current weather in a given location", Parameters: weather,
					}},
				})
			},
			ratelimiter.Cost{Model: "gpt-4", Requests: 1, Tokens: 105 + undeclared},
		},
		{
			"chat: an image",
			"OPENAI.md 1.3: 765 for an image of a call that was charged 821",
			func() {
				client.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
					Model: "gpt-4o",
					Messages: []goopenai.ChatCompletionMessage{{Role: "user", MultiContent: []goopenai.ChatMessagePart{
						{Type: "text", Text: say},
						{Type: "image_url", ImageURL: &goopenai.ChatMessageImageURL{
							URL: dataURL("image/png", pngOf(1024, 1024)), Detail: "high",
						}},
					}}},
				})
			},
			ratelimiter.Cost{Model: "gpt-4o", Requests: 1, Tokens: 3 + 1 + sayTokens + 765 + 3 + undeclared},
		},
		{
			"completions",
			"openapi.yaml: best_of candidates for each prompt",
			func() {
				client.CreateCompletion(ctx, goopenai.CompletionRequest{
					Model: "gpt-3.5-turbo-instruct", Prompt: []string{say, say}, MaxTokens: 7, N: 2, BestOf: 3,
				})
			},
			ratelimiter.Cost{Model: "gpt-3.5-turbo-instruct", Requests: 1, Tokens: 2*sayTokens + 7*3*2},
		},
		{
			"embeddings: strings",
			"openapi.yaml: each string is an input",
			func() {
				client.CreateEmbeddings(ctx, goopenai.EmbeddingRequestStrings{
					Model: "text-embedding-3-large", Input: []string{say, say, say},
				})
			},
			ratelimiter.Cost{Model: "text-embedding-3-large", Requests: 1, Tokens: 3 * sayTokens},
		},
		{
			"embeddings: arrays of token ids",
			"openapi.yaml: each id is a token",
			func() {
				client.CreateEmbeddings(ctx, goopenai.EmbeddingRequestTokens{
					Model: "text-embedding-3-large", Input: [][]int{{1, 2, 3}, {4}},
				})
			},
			ratelimiter.Cost{Model: "text-embedding-3-large", Requests: 1, Tokens: 4},
		},
		{
			"images/generations",
			"OpenAI guide, image generation: 6208 for 1536 × 1024 in high quality",
			func() {
				client.CreateImage(ctx, goopenai.ImageRequest{
					Model: "gpt-image-1", Prompt: say, N: 3, Size: "1536x1024", Quality: "high",
				})
			},
			ratelimiter.Cost{Model: "gpt-image-1", Requests: 1, Tokens: 3*sayTokens + 3*6208, Images: 3},
		},
		{
			"images/edits: no model, fields after the file",
			"guide: 4160 in high quality, 194 for the image",
			func() {
				client.CreateEditImage(ctx, goopenai.ImageEditRequest{
					Image: pngFile(t, 1024), Mask: pngFile(t, 1024),
					Prompt: say, N: 2, Size: "1024x1024",
				})
			},
			ratelimiter.Cost{Requests: 1, Tokens: 2*(194+sayTokens) + 2*4160, Images: 2},
		},
		{
			"images/variations: no model is sent",
			"openai-go v3.32 image.go: dall-e-2 alone made them, which is gone",
			func() {
				client.CreateVariImage(ctx, goopenai.ImageVariRequest{
					Image: pngFile(t, 256), Model: "dall-e-2", N: 10, Size: "256x256",
				})
			},
			ratelimiter.Cost{Requests: 1, Images: 10},
		},
		{
			"audio/speech",
			"openapi.yaml: input is text",
			func() {
				client.CreateSpeech(ctx, goopenai.CreateSpeechRequest{Model: "tts-1", Input: say, Voice: "alloy"})
			},
			ratelimiter.Cost{Model: "tts-1", Requests: 1, Tokens: sayTokens},
		},
		{
			"audio/transcriptions",
			"stated rules (docs/CHARGING.md): 10 tokens a second, 4000 bytes a second",
			func() {
				client.CreateTranscription(ctx, goopenai.AudioRequest{
					Model: "gpt-4o-transcribe", FilePath: "a.mp3", Reader: bytes.NewReader(make([]byte, 40_000)),
				})
			},
			ratelimiter.Cost{Model: "gpt-4o-transcribe", Requests: 1, Tokens: 100},
		},
		{
			"moderations",
			"OpenAI's API reference: 5 tokens",
			func() {
				client.Moderations(ctx, goopenai.ModerationRequest{Model: "omni-moderation-latest", Input: say})
			},
			ratelimiter.Cost{Model: "omni-moderation-latest", Requests: 1, Tokens: sayTokens},
		},
	})
}
