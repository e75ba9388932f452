//lint:file-ignore SA1019 what the SDKs have deprecated is still sent

package openaitest_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
	goopenai "github.com/sashabaranov/go-openai"

	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

// everyTransport runs f with a client for each way to reach a server, and the
// URL to give to the SDK.
func everyTransport(t *testing.T, f func(t *testing.T, srv *openaitest.Server, client *http.Client, url string), options ...openaitest.Option) {
	t.Run("loopback", func(t *testing.T) {
		srv := openaitest.New(options...)
		ts := httptest.NewServer(srv)
		defer ts.Close()
		f(t, srv, ts.Client(), ts.URL)
	})
	t.Run("HTTP2", func(t *testing.T) {
		srv := openaitest.New(options...)
		ts := httptest.NewUnstartedServer(srv)
		ts.EnableHTTP2 = true
		ts.StartTLS()
		defer ts.Close()
		f(t, srv, ts.Client(), ts.URL)
	})
	t.Run("pipe", func(t *testing.T) {
		srv := openaitest.New(options...)
		defer srv.Close()
		f(t, srv, srv.Client(), "http://api.test")
	})
	t.Run("direct", func(t *testing.T) {
		srv := openaitest.New(options...)
		f(t, srv, &http.Client{Transport: srv.Direct()}, "http://api.test")
	})
}

func drain[T any](t *testing.T, s *ssestream.Stream[T]) []T {
	t.Helper()
	var all []T
	for s.Next() {
		all = append(all, s.Current())
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	return all
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func file() io.Reader {
	return openai.File(strings.NewReader(strings.Repeat("sound", 1000)), "sound.mp3", "audio/mpeg")
}

func TestOpenAIGo(t *testing.T) {
	everyTransport(t, func(t *testing.T, srv *openaitest.Server, hc *http.Client, url string) {
		ctx := t.Context()
		client := openai.NewClient(option.WithHTTPClient(hc), option.WithBaseURL(url+"/v1/"), option.WithAPIKey("key"), option.WithMaxRetries(0))
		chat := openai.ChatCompletionNewParams{
			Model: "gpt-4o", MaxCompletionTokens: openai.Int(100),
			Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Who is Joseph Conrad?")},
		}

		t.Run("chat", func(t *testing.T) {
			r := must(client.Chat.Completions.New(ctx, chat))(t)
			expect(t, "text", len(r.Choices[0].Message.Content), 100)
			expect(t, "finish", r.Choices[0].FinishReason, "stop")
			expect(t, "usage", [3]int64{r.Usage.PromptTokens, r.Usage.CompletionTokens, r.Usage.TotalTokens}, [3]int64{12, 25, 37})
		})
		t.Run("chat stream", func(t *testing.T) {
			params := chat
			params.N = openai.Int(2)
			params.StreamOptions.IncludeUsage = openai.Bool(true)
			chunks := drain(t, client.Chat.Completions.NewStreaming(ctx, params))
			var acc openai.ChatCompletionAccumulator
			for _, c := range chunks {
				if !acc.AddChunk(c) {
					t.Fatal("a chunk does not fit the others")
				}
			}
			expect(t, "choices", len(acc.Choices), 2)
			expect(t, "text", len(acc.Choices[1].Message.Content), 100)
			expect(t, "usage", acc.Usage.TotalTokens, 62)
			expect(t, "role first", chunks[0].Choices[0].Delta.Role, "assistant")
			expect(t, "choices of the usage chunk", len(chunks[len(chunks)-1].Choices), 0)
		})
		t.Run("chat stream without usage", func(t *testing.T) {
			for _, c := range drain(t, client.Chat.Completions.NewStreaming(ctx, chat)) {
				if c.JSON.Usage.Valid() || len(c.Choices) == 0 {
					t.Error(c.RawJSON())
				}
			}
		})
		t.Run("completion", func(t *testing.T) {
			params := openai.CompletionNewParams{
				Model:  "gpt-3.5-turbo-instruct",
				Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"abcd", "abcd"}},
			}
			r := must(client.Completions.New(ctx, params))(t)
			expect(t, "choices", len(r.Choices), 2)
			expect(t, "usage", r.Usage.TotalTokens, 2+2*4)
			expect(t, "chunks", len(drain(t, client.Completions.NewStreaming(ctx, params))), 2*4+2)
		})
		t.Run("response", func(t *testing.T) {
			params := responses.ResponseNewParams{
				Model: "gpt-5", MaxOutputTokens: openai.Int(100),
				Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Who is Joseph Conrad?")},
			}
			r := must(client.Responses.New(ctx, params))(t)
			expect(t, "status", r.Status, "completed")
			expect(t, "text", len(r.OutputText()), 100)
			expect(t, "usage", [2]int64{r.Usage.InputTokens, r.Usage.OutputTokens}, [2]int64{12, 25})

			events := drain(t, client.Responses.NewStreaming(ctx, params))
			expect(t, "first", events[0].Type, "response.created")
			last := events[len(events)-1]
			expect(t, "last", last.Type, "response.completed")
			expect(t, "usage", last.AsResponseCompleted().Response.Usage.TotalTokens, 37)
			for i, e := range events {
				expect(t, "sequence", e.SequenceNumber, int64(i))
			}

			srv.Inject(1, openaitest.Answer{OutputTokens: 500})
			r = must(client.Responses.New(ctx, params))(t)
			expect(t, "reached max_output_tokens", r.IncompleteDetails.Reason, "max_output_tokens")

			params.Background = openai.Bool(true)
			r = must(client.Responses.New(ctx, params))(t)
			expect(t, "background", r.Status, "queued")
			expect(t, "background usage", r.JSON.Usage.Valid(), false)

			compacted := must(client.Responses.Compact(ctx, responses.ResponseCompactParams{
				Model: "gpt-5", Input: responses.ResponseCompactParamsInputUnion{OfString: openai.String("abcd")},
			}))(t)
			expect(t, "compaction", compacted.Usage.TotalTokens, 8+24)
			count := must(client.Responses.InputTokens.Count(ctx, responses.InputTokenCountParams{
				Model: openai.String("gpt-5"), Input: responses.InputTokenCountParamsInputUnion{OfString: openai.String("abcd")},
			}))(t)
			expect(t, "count", count.InputTokens, 8)
		})
		t.Run("embeddings", func(t *testing.T) {
			r := must(client.Embeddings.New(ctx, openai.EmbeddingNewParams{
				Model: "text-embedding-3-small", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"abcd", "efgh"}},
			}))(t)
			expect(t, "data", len(r.Data), 2)
			expect(t, "embedding", r.Data[1].Embedding[1], -0.5)
			expect(t, "usage", r.Usage.TotalTokens, 2)
		})
		t.Run("moderation", func(t *testing.T) {
			r := must(client.Moderations.New(ctx, openai.ModerationNewParams{
				Model: "omni-moderation-latest", Input: openai.ModerationNewParamsInputUnion{OfString: openai.String("abcd")},
			}))(t)
			expect(t, "results", len(r.Results), 1)
		})
		t.Run("images", func(t *testing.T) {
			params := openai.ImageGenerateParams{Model: "gpt-image-1", Prompt: "abcd", N: openai.Int(2), PartialImages: openai.Int(2)}
			r := must(client.Images.Generate(ctx, params))(t)
			expect(t, "images", len(r.Data), 2)
			expect(t, "usage", r.Usage.TotalTokens, 545)
			events := drain(t, client.Images.GenerateStreaming(ctx, params))
			expect(t, "events", len(events), 3)
			expect(t, "first", events[0].Type, "image_generation.partial_image")
			expect(t, "usage", events[2].AsImageGenerationCompleted().Usage.TotalTokens, 545)

			params.Model = "dall-e-2"
			r = must(client.Images.Generate(ctx, params))(t)
			expect(t, "dall-e states no usage", r.JSON.Usage.Valid(), false)
			expect(t, "url", strings.HasPrefix(r.Data[0].URL, "https://"), true)

			edit := openai.ImageEditParams{Model: "gpt-image-1", Prompt: "abcd", Image: openai.ImageEditParamsImageUnion{OfFile: file()}}
			expect(t, "edit", must(client.Images.Edit(ctx, edit))(t).Usage.OutputTokens, 272)
			edited := drain(t, client.Images.EditStreaming(ctx, edit))
			expect(t, "edit", edited[len(edited)-1].Type, "image_edit.completed")
			variation := must(client.Images.NewVariation(ctx, openai.ImageNewVariationParams{Model: "dall-e-2", N: openai.Int(3), Image: file()}))(t)
			expect(t, "variations", len(variation.Data), 3)
		})
		t.Run("audio", func(t *testing.T) {
			params := openai.AudioTranscriptionNewParams{Model: "gpt-4o-transcribe", File: file()}
			r := must(client.Audio.Transcriptions.New(ctx, params))(t)
			expect(t, "usage", [2]int64{r.Usage.InputTokens, r.Usage.OutputTokens}, [2]int64{5, 24})
			params.File = file()
			events := drain(t, client.Audio.Transcriptions.NewStreaming(ctx, params))
			last := events[len(events)-1]
			expect(t, "last", last.Type, "transcript.text.done")
			expect(t, "usage", last.AsTranscriptTextDone().Usage.TotalTokens, 29)

			params.Model, params.File = "whisper-1", file()
			r = must(client.Audio.Transcriptions.New(ctx, params))(t)
			expect(t, "whisper's usage", r.Usage.Type, "duration")
			expect(t, "translation", len(must(client.Audio.Translations.New(ctx, openai.AudioTranslationNewParams{Model: "whisper-1", File: file()}))(t).Text), 96)

			speech := openai.AudioSpeechNewParams{Model: "gpt-4o-mini-tts", Input: "abcd", Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")}}
			resp := must(client.Audio.Speech.New(ctx, speech))(t)
			sound := must(io.ReadAll(resp.Body))(t)
			resp.Body.Close()
			expect(t, "sound", len(sound) > 0 && resp.Header.Get("Content-Type") == "audio/mpeg", true)
			speech.StreamFormat = openai.AudioSpeechNewParamsStreamFormatSSE
			resp = must(client.Audio.Speech.New(ctx, speech))(t)
			stream := must(io.ReadAll(resp.Body))(t)
			resp.Body.Close()
			expect(t, "speech stream", strings.Contains(string(stream), `"type":"speech.audio.done","usage":{"input_tokens":1`), true)
		})
		t.Run("models", func(t *testing.T) { must(client.Models.List(ctx))(t) })
		t.Run("errors", func(t *testing.T) {
			srv.Inject(2, openaitest.InsufficientQuota())
			var e *openai.Error
			if _, err := client.Chat.Completions.New(ctx, chat); !errors.As(err, &e) || e.StatusCode != 429 || e.Code != "insufficient_quota" {
				t.Errorf("error %v", err)
			}
			s := client.Chat.Completions.NewStreaming(ctx, chat)
			for s.Next() {
				t.Error("a chunk")
			}
			if err := s.Err(); !errors.As(err, &e) {
				t.Errorf("error %v", err)
			}
			inStream := openaitest.InsufficientQuota()
			inStream.InStream = true
			srv.Inject(2, inStream)
			s = client.Chat.Completions.NewStreaming(ctx, chat)
			n := 0
			for s.Next() {
				n++
			}
			var se *ssestream.StreamError
			if err := s.Err(); !errors.As(err, &se) || n == 0 || !strings.Contains(se.Message, "insufficient_quota") {
				t.Errorf("after %d chunks: error %v", n, err)
			}
			params := responses.ResponseNewParams{Model: "gpt-5", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("x")}}
			events := drain(t, client.Responses.NewStreaming(ctx, params))
			expect(t, "error event", events[len(events)-1].AsError().Code, "insufficient_quota")
			srv.Inject(1, openaitest.Answer{Status: 500, InStream: true})
			events = drain(t, client.Responses.NewStreaming(ctx, params))
			failed := events[len(events)-1].AsResponseFailed()
			expect(t, "failed", failed.Response.Error.Code, "server_error")
			expect(t, "usage of a failed response", failed.Response.Usage.TotalTokens > 0, true)
		})
	})
}

func TestAzure(t *testing.T) {
	srv := openaitest.New(openaitest.WithLimits("my/gpt", openaitest.Limits{RPM: 1}), openaitest.WithLimits("gpt-35-turbo", openaitest.Limits{RPM: 1}))
	hc := &http.Client{Transport: srv.Direct()}
	const throttled = "ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded call rate limit"

	t.Run("openai-go", func(t *testing.T) {
		// as its azure package addresses a deployment
		client := openai.NewClient(option.WithHTTPClient(hc), option.WithAPIKey("key"), option.WithMaxRetries(0),
			option.WithBaseURL("https://resource.invalid/openai/deployments/my%2Fgpt/"), option.WithQuery("api-version", "2024-10-21"))
		chat := openai.ChatCompletionNewParams{
			Model: "ignored", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("x")},
		}
		must(client.Chat.Completions.New(t.Context(), chat))(t)
		_, err := client.Chat.Completions.New(t.Context(), chat)
		var e *openai.Error
		if !errors.As(err, &e) || e.Code != "429" || !strings.Contains(e.Message, throttled) {
			t.Errorf("error %v", err)
		}
		expect(t, "admitted by deployment", srv.Account("my/gpt").Admitted, 1)
	})
	t.Run("go-openai", func(t *testing.T) {
		config := goopenai.DefaultAzureConfig("key", "https://resource.invalid")
		config.APIVersion, config.HTTPClient = "2024-10-21", hc
		client := goopenai.NewClientWithConfig(config)
		chat := goopenai.ChatCompletionRequest{Model: "gpt-3.5-turbo", Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: "x"}}}
		must(client.CreateChatCompletion(t.Context(), chat))(t)
		_, err := client.CreateChatCompletion(t.Context(), chat)
		var e *goopenai.APIError
		if !errors.As(err, &e) || e.Code != "429" || !strings.Contains(e.Message, throttled) {
			t.Errorf("error %v", err)
		}
		expect(t, "admitted by deployment", srv.Account("gpt-35-turbo").Admitted, 1)
	})
}

func TestGoOpenAI(t *testing.T) {
	sound := filepath.Join(t.TempDir(), "sound.mp3")
	if err := os.WriteFile(sound, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	everyTransport(t, func(t *testing.T, srv *openaitest.Server, hc *http.Client, url string) {
		ctx := t.Context()
		config := goopenai.DefaultConfig("key")
		config.BaseURL, config.HTTPClient = url+"/v1", hc
		client := goopenai.NewClientWithConfig(config)
		chat := goopenai.ChatCompletionRequest{
			Model: "gpt-4o", MaxCompletionTokens: 100,
			Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: "Who is Joseph Conrad?"}},
		}

		r := must(client.CreateChatCompletion(ctx, chat))(t)
		expect(t, "usage", r.Usage.TotalTokens, 37)
		expect(t, "text", len(r.Choices[0].Message.Content), 100)

		stream := chat
		stream.StreamOptions = &goopenai.StreamOptions{IncludeUsage: true}
		s := must(client.CreateChatCompletionStream(ctx, stream))(t)
		text, usage := "", 0
		for {
			c, err := s.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Choices) > 0 {
				text += c.Choices[0].Delta.Content
			}
			if c.Usage != nil {
				usage = c.Usage.TotalTokens
			}
		}
		s.Close()
		expect(t, "streamed usage", usage, 37)
		expect(t, "streamed text", len(text), 100)

		expect(t, "completion", must(client.CreateCompletion(ctx, goopenai.CompletionRequest{Model: "gpt-3.5-turbo-instruct", Prompt: "abcd"}))(t).Usage.TotalTokens, 5)
		expect(t, "embeddings", must(client.CreateEmbeddings(ctx, goopenai.EmbeddingRequest{Model: "text-embedding-3-small", Input: []string{"abcd"}}))(t).Data[0].Embedding[0], float32(0.5))
		b64 := must(client.CreateEmbeddings(ctx, goopenai.EmbeddingRequest{
			Model: "text-embedding-3-small", Input: []string{"abcd"}, EncodingFormat: goopenai.EmbeddingEncodingFormatBase64,
		}))(t)
		expect(t, "base64 embeddings", b64.Data[0].Embedding[1], float32(-0.5))
		expect(t, "images", len(must(client.CreateImage(ctx, goopenai.ImageRequest{Model: "dall-e-2", Prompt: "x", N: 2}))(t).Data), 2)
		expect(t, "transcription", len(must(client.CreateTranscription(ctx, goopenai.AudioRequest{Model: "whisper-1", FilePath: sound}))(t).Text), 96)
		expect(t, "subtitles", len(must(client.CreateTranscription(ctx, goopenai.AudioRequest{Model: "whisper-1", FilePath: sound, Format: goopenai.AudioResponseFormatSRT}))(t).Text), 97)
		expect(t, "verbose", must(client.CreateTranscription(ctx, goopenai.AudioRequest{Model: "whisper-1", FilePath: sound, Format: goopenai.AudioResponseFormatVerboseJSON}))(t).Duration, 3.5)
		speech := must(client.CreateSpeech(ctx, goopenai.CreateSpeechRequest{Model: "tts-1", Input: "x", Voice: "alloy"}))(t)
		must(io.ReadAll(speech))(t)
		speech.Close()
		expect(t, "moderation", len(must(client.Moderations(ctx, goopenai.ModerationRequest{Model: "omni-moderation-latest", Input: "x"}))(t).Results), 1)
		must(client.ListModels(ctx))(t)

		inStream := openaitest.InsufficientQuota()
		inStream.InStream = true
		srv.Inject(1, openaitest.Answer{Status: 429, RetryAfter: 2 * time.Second})
		srv.Inject(1, inStream)
		var e *goopenai.APIError
		if _, err := client.CreateChatCompletion(ctx, chat); !errors.As(err, &e) || e.HTTPStatusCode != 429 || e.Type != "tokens" {
			t.Errorf("error %v", err)
		}
		s = must(client.CreateChatCompletionStream(ctx, chat))(t)
		var err error
		for err == nil {
			_, err = s.Recv()
		}
		s.Close()
		if !errors.As(err, &e) || e.Code != "insufficient_quota" {
			t.Errorf("error in the stream: %v", err)
		}
	})
}
