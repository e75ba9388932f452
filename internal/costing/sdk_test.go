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

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/tokens"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

// capture is an HTTP client that keeps the request and answers nothing.
type capture struct {
	request *http.Request
	body    []byte
}

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	c.request = r
	c.body, _ = io.ReadAll(r.Body)
	return nil, errors.New("captured")
}

func (c *capture) estimate() costing.Estimate {
	endpoint, deployment := wire.Classify(c.request)
	contentType := c.request.Header.Get("Content-Type")
	if strings.HasPrefix(contentType, "multipart/") {
		return costing.Multipart(endpoint, deployment, contentType, c.body, tokens.Exact{})
	}
	return costing.JSON(endpoint, deployment, c.body, tokens.Exact{})
}

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

func TestOpenAIGo(t *testing.T) {
	ctx := context.Background()
	var c capture
	client := openai.NewClient(option.WithAPIKey("key"), option.WithMaxRetries(0),
		option.WithHTTPClient(&http.Client{Transport: &c}))

	for _, test := range []struct {
		name string // and where the figures come from
		call func()
		want costing.Estimate
	}{
		{
			"chat: cookbook, 3 a message, 3 for the reply",
			func() {
				client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model:    "gpt-4o",
					Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(say)},
				})
			},
			costing.Estimate{Model: "gpt-4o", Input: 3 + 1 + sayTokens + 3},
		},
		{
			"chat: the largest cap counts, times n",
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
			costing.Estimate{
				Model: "gpt-5-mini", Input: 2*(3+1+sayTokens) + 3, Output: 15_000, Choices: 3, Declared: true,
				Stream: true, IncludeUsage: true,
			},
		},
		{
			"chat: cookbook, 101 for gpt-4o with its example tool",
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
			costing.Estimate{Model: "gpt-4o", Input: 101},
		},
		{
			"chat: guide, an image of 1024 × 1024 costs gpt-4o 765 in high detail and 85 in low",
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
			costing.Estimate{Model: "gpt-4o", Input: 3 + 1 + sayTokens + 765 + 85 + 3},
		},
		{
			"chat: stated rules, 10 tokens a second of audio, 16 bytes a token of PDF, 4096 for a file by name",
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
			costing.Estimate{Model: "gpt-audio", Input: 3 + 1 + 21 + 1000 + 4096 + 3},
		},
		{
			"chat: stated rule, predicted output is input; the tier changes nothing",
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
			costing.Estimate{Model: "gpt-4o", Input: 3 + 1 + sayTokens + 3 + sayTokens},
		},
		{
			"chat: 3 for a tool call; its id is not shown to the model",
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
			costing.Estimate{Model: "gpt-4o", Input: (3 + 1 + 3 + 1 + sayTokens) + (3 + 1 + sayTokens) + 3},
		},
		{
			"completions: openapi.yaml, max_tokens is 16",
			func() {
				client.Completions.New(ctx, openai.CompletionNewParams{
					Model:  "gpt-3.5-turbo-instruct",
					Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String(say)},
					Suffix: openai.String(say), Echo: openai.Bool(true),
				})
			},
			costing.Estimate{Model: "gpt-3.5-turbo-instruct", Input: 2 * sayTokens, Output: 16, Declared: true},
		},
		{
			"completions: the larger of n and best_of, for each prompt",
			func() {
				client.Completions.New(ctx, openai.CompletionNewParams{
					Model:  "davinci-002",
					Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{say, say, say}},
					N:      openai.Int(2), BestOf: openai.Int(4), MaxTokens: openai.Int(100),
				})
			},
			costing.Estimate{Model: "davinci-002", Input: 3 * sayTokens, Output: 1200, Choices: 12, Declared: true},
		},
		{
			"completions: token ids",
			func() {
				client.Completions.New(ctx, openai.CompletionNewParams{
					Model:  "davinci-002",
					Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfTokenArrays: [][]int64{{1, 2, 3}, {4, 5}}},
				})
			},
			costing.Estimate{Model: "davinci-002", Input: 5, Output: 32, Choices: 2, Declared: true},
		},
		{
			"embeddings",
			func() {
				client.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: "text-embedding-3-small",
					Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String(say)},
				})
			},
			costing.Estimate{Model: "text-embedding-3-small", Input: sayTokens},
		},
		{
			"embeddings: strings",
			func() {
				client.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: "text-embedding-3-small",
					Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{say, say}},
				})
			},
			costing.Estimate{Model: "text-embedding-3-small", Input: 2 * sayTokens},
		},
		{
			"embeddings: token ids",
			func() {
				client.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: "text-embedding-3-small",
					Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfTokens: []int64{1, 22, 333}},
				})
			},
			costing.Estimate{Model: "text-embedding-3-small", Input: 3},
		},
		{
			"embeddings: arrays of token ids",
			func() {
				client.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: "text-embedding-3-small",
					Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfTokenArrays: [][]int64{{1, 22}, {333}}},
				})
			},
			costing.Estimate{Model: "text-embedding-3-small", Input: 3},
		},
		{
			"responses: as a chat of instructions and a user's message",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model:        "gpt-5",
					Instructions: openai.String(say),
					Input:        responses.ResponseNewParamsInputUnion{OfString: openai.String(say)},

					MaxOutputTokens: openai.Int(300), Background: openai.Bool(true),
				})
			},
			costing.Estimate{
				Model: "gpt-5", Input: 2*(3+1+sayTokens) + 3, Output: 300, Declared: true, Background: true,
				Passing: 3 + 1 + sayTokens,
			},
		},
		{
			"responses: openapi.yaml, items carry over, instructions do not; 3 a message",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model: "gpt-5.4", Instructions: openai.String(say), PreviousResponseID: openai.String("resp_1"),
					Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(say)},
				})
			},
			costing.Estimate{
				Model: "gpt-5.4", Input: 2*(3+1+sayTokens) + 3, Previous: "resp_1", Passing: 3 + 1 + sayTokens,
			},
		},
		{
			"responses: of a conversation",
			func() {
				client.Responses.New(ctx, responses.ResponseNewParams{
					Model: "gpt-5.4",
					Conversation: responses.ResponseNewParamsConversationUnion{
						OfConversationObject: &responses.ResponseConversationParam{ID: "conv_1"},
					},
					Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(say)},
				})
			},
			costing.Estimate{Model: "gpt-5.4", Input: 3 + 1 + sayTokens + 3, Conversation: "conv_1"},
		},
		{
			"responses: items; cookbook's figures for tools and messages",
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
			costing.Estimate{Model: "gpt-4o", Input: 101, Passing: 101 - (3 + 1 + 14) - (3 + 1 + 8) - 3},
		},
		{
			"responses: a call, its output, an image by name (worst case: 8 tiles), stated rules",
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
			costing.Estimate{
				Model: "gpt-4.1",
				Input: (3 + 3 + 1 + sayTokens) + (3 + sayTokens) + (3 + 1 + 85 + 8*170) + 3,
			},
		},
		{
			"images/generations: guide, 1584 for 1024 × 1536 in medium quality",
			func() {
				client.Images.Generate(ctx, openai.ImageGenerateParams{
					Model: "gpt-image-1.5", Prompt: say, N: openai.Int(2), Size: "1024x1536", Quality: "medium",
				})
			},
			costing.Estimate{
				Model: "gpt-image-1.5", Input: 2 * sayTokens, Output: 2 * 1584, Choices: 2, Declared: true, Images: 2,
			},
		},
		{
			"images/generations: DALL·E counts images only",
			func() {
				client.Images.Generate(ctx, openai.ImageGenerateParams{Model: "dall-e-3", Prompt: say})
			},
			costing.Estimate{Model: "dall-e-3", Declared: true, Images: 1},
		},
		{
			"images/edits: usage of 194 image tokens for 1024 × 1024 (community.openai.com/t/1281361)",
			func() {
				client.Images.Edit(ctx, openai.ImageEditParams{
					Image:  openai.ImageEditParamsImageUnion{OfFileArray: []io.Reader{bytes.NewReader(pngOf(1024, 1024)), bytes.NewReader(pngOf(1024, 1024))}},
					Prompt: say, Model: "gpt-image-1.5", N: openai.Int(1), Size: "1024x1024", Quality: "low",
				})
			},
			costing.Estimate{
				Model: "gpt-image-1.5", Input: 2*194 + sayTokens, Output: 272, Declared: true, Images: 1,
			},
		},
		{
			"images/variations",
			func() {
				client.Images.NewVariation(ctx, openai.ImageNewVariationParams{
					Image: bytes.NewReader(pngOf(1024, 1024)), Model: "dall-e-2", N: openai.Int(4),
				})
			},
			costing.Estimate{Model: "dall-e-2", Choices: 4, Declared: true, Images: 4},
		},
		{
			"audio/speech",
			func() {
				client.Audio.Speech.New(ctx, openai.AudioSpeechNewParams{
					Model: "gpt-4o-mini-tts", Input: say, Instructions: openai.String(say),
				})
			},
			costing.Estimate{Model: "gpt-4o-mini-tts", Input: 2 * sayTokens},
		},
		{
			"audio/transcriptions: stated rule, 10 tokens a second",
			func() {
				client.Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{
					File: bytes.NewReader(wavOf(16_000, 60)), Model: "gpt-4o-transcribe", Prompt: openai.String(say),
				})
			},
			costing.Estimate{Model: "gpt-4o-transcribe", Input: 601 + sayTokens},
		},
		{
			"audio/translations: whisper has no tokens",
			func() {
				client.Audio.Translations.New(ctx, openai.AudioTranslationNewParams{
					File: bytes.NewReader(wavOf(16_000, 60)), Model: "whisper-1", Prompt: openai.String(say),
				})
			},
			costing.Estimate{Model: "whisper-1"},
		},
		{
			"moderations",
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
			costing.Estimate{Model: "omni-moderation-latest", Input: sayTokens + 85 + 170},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c = capture{}
			test.call()
			check(t, &c, test.want)
		})
	}
}

func check(t *testing.T, c *capture, want costing.Estimate) {
	t.Helper()
	if c.request == nil {
		t.Fatal("nothing was sent")
	}
	want.Understood = true
	want.Choices = max(want.Choices, 1)
	if got := c.estimate(); got != want {
		t.Errorf("%s %.600q\n got %+v\nwant %+v", c.request.URL.Path, c.body, got, want)
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
	var c capture
	config := goopenai.DefaultConfig("key")
	config.HTTPClient = &http.Client{Transport: &c}
	client := goopenai.NewClientWithConfig(config)
	azureConfig := goopenai.DefaultAzureConfig("key", "https://example.openai.azure.com")
	azureConfig.HTTPClient = config.HTTPClient
	azure := goopenai.NewClientWithConfig(azureConfig)

	user := []goopenai.ChatCompletionMessage{{Role: "user", Content: say}}
	for _, test := range []struct {
		name string
		call func()
		want costing.Estimate
	}{
		{
			"chat: cookbook",
			func() {
				client.CreateChatCompletionStream(ctx, goopenai.ChatCompletionRequest{
					Model: "gpt-4", Messages: user, MaxTokens: 512,
					StreamOptions: &goopenai.StreamOptions{IncludeUsage: true},
				})
			},
			costing.Estimate{
				Model: "gpt-4", Input: 3 + 1 + sayTokens + 3, Output: 512, Declared: true, Stream: true, IncludeUsage: true,
			},
		},
		{
			// Captured: charged 519 for this question and max_tokens 512, whose
			// usage was 12 (OPENAI.md 1.3).
			"chat: Kong's demo",
			func() {
				client.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
					Model: "gpt-4", MaxTokens: 512,
					Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: "Who is Joseph Conrad?"}},
				})
			},
			costing.Estimate{Model: "gpt-4", Input: 12, Output: 512, Declared: true},
		},
		{
			"chat on Azure: cookbook, a name costs 1 more",
			func() {
				azure.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{
					Model: "gpt-35-turbo", N: 2, MaxCompletionTokens: 100,
					Messages: []goopenai.ChatCompletionMessage{{Role: "user", Name: "test", Content: say}},
				})
			},
			costing.Estimate{
				Model: "gpt-35-turbo", Input: 3 + 1 + 1 + 1 + sayTokens + 3, Output: 200, Choices: 2, Declared: true,
			},
		},
		{
			"chat: cookbook, 105 for gpt-4 with its example tool",
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
			costing.Estimate{Model: "gpt-4", Input: 105},
		},
		{
			"chat: a capture says 821 for a call with one image of 765 (OPENAI.md 1.3)",
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
			costing.Estimate{Model: "gpt-4o", Input: 3 + 1 + sayTokens + 765 + 3},
		},
		{
			"completions",
			func() {
				client.CreateCompletion(ctx, goopenai.CompletionRequest{
					Model: "gpt-3.5-turbo-instruct", Prompt: []string{say, say}, MaxTokens: 7, N: 2, BestOf: 3,
				})
			},
			costing.Estimate{
				Model: "gpt-3.5-turbo-instruct", Input: 2 * sayTokens, Output: 7 * 3 * 2, Choices: 6, Declared: true,
			},
		},
		{
			"embeddings",
			func() {
				client.CreateEmbeddings(ctx, goopenai.EmbeddingRequestStrings{
					Model: "text-embedding-3-large", Input: []string{say, say, say},
				})
			},
			costing.Estimate{Model: "text-embedding-3-large", Input: 3 * sayTokens},
		},
		{
			"embeddings: arrays of token ids",
			func() {
				client.CreateEmbeddings(ctx, goopenai.EmbeddingRequestTokens{
					Model: "text-embedding-3-large", Input: [][]int{{1, 2, 3}, {4}},
				})
			},
			costing.Estimate{Model: "text-embedding-3-large", Input: 4},
		},
		{
			"images/generations",
			func() {
				client.CreateImage(ctx, goopenai.ImageRequest{
					Model: "gpt-image-1", Prompt: say, N: 3, Size: "1536x1024", Quality: "high",
				})
			},
			costing.Estimate{
				Model: "gpt-image-1", Input: 3 * sayTokens, Output: 3 * 6208, Choices: 3, Declared: true, Images: 3,
			},
		},
		{
			"images/edits: the fields after the file",
			func() {
				client.CreateEditImage(ctx, goopenai.ImageEditRequest{
					Image: pngFile(t, 1024), Mask: pngFile(t, 1024),
					Prompt: say, N: 2, Size: "1024x1024",
				})
			},
			costing.Estimate{
				Input: 2 * (194 + sayTokens), Output: 2 * 4160, Choices: 2, Declared: true, Images: 2,
			},
		},
		{
			"images/variations: go-openai sends no model",
			func() {
				client.CreateVariImage(ctx, goopenai.ImageVariRequest{
					Image: pngFile(t, 256), Model: "dall-e-2", N: 10, Size: "256x256",
				})
			},
			costing.Estimate{Choices: 10, Declared: true, Images: 10},
		},
		{
			"audio/speech",
			func() {
				client.CreateSpeech(ctx, goopenai.CreateSpeechRequest{Model: "tts-1", Input: say, Voice: "alloy"})
			},
			costing.Estimate{Model: "tts-1", Input: sayTokens},
		},
		{
			"audio/transcriptions",
			func() {
				client.CreateTranscription(ctx, goopenai.AudioRequest{
					Model: "gpt-4o-transcribe", FilePath: "a.mp3", Reader: bytes.NewReader(make([]byte, 40_000)),
				})
			},
			costing.Estimate{Model: "gpt-4o-transcribe", Input: 100},
		},
		{
			"moderations",
			func() {
				client.Moderations(ctx, goopenai.ModerationRequest{Model: "omni-moderation-latest", Input: say})
			},
			costing.Estimate{Model: "omni-moderation-latest", Input: sayTokens},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c = capture{}
			test.call()
			check(t, &c, test.want)
		})
	}
}
