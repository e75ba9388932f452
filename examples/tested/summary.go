// Package tested is a piece of an application, and how it is tested with openaitest: no key,
// no network, and no time spent on waiting.
package tested

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/openai/openai-go/v3"
)

// Summarize returns a summary of each text, in their order.
func Summarize(ctx context.Context, client openai.Client, texts []string) ([]string, error) {
	summaries, errs := make([]string, len(texts)), make([]error, len(texts))
	var wg sync.WaitGroup
	for i, text := range texts {
		wg.Go(func() {
			answer, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
				Model:               openai.ChatModelGPT5_4Mini,
				Messages:            []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Summarize: " + text)},
				MaxCompletionTokens: openai.Int(100),
			})
			if err != nil {
				errs[i] = fmt.Errorf("text %d: %w", i, err)
				return
			}
			summaries[i] = answer.Choices[0].Message.Content
		})
	}
	wg.Wait()
	return summaries, errors.Join(errs...)
}
