// Websocket holds a conversation over one WebSocket of the Responses API. Its frames pass no
// transport, so each turn is acquired by hand and settled to what it has used. With the
// Realtime API it is the same.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	limiter, err := ratelimiter.New(
		ratelimiter.WithAccount("example"),
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 500, TPM: 30_000}))
	if err != nil {
		log.Fatal(err)
	}
	options, closeStandIn := standin.Options("OPENAI_API_KEY")
	defer closeStandIn()
	client := openai.NewClient(options...)

	ctx := context.Background()
	conn, err := client.Responses.Connect(ctx, responses.ResponseConnectionOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	previous := ""
	for _, question := range []string{"Name a star of the southern sky.", "How far away is it?"} {
		answer, err := turn(ctx, limiter, conn, question, previous)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s (%d tokens)\n", answer.OutputText(), answer.Usage.TotalTokens)
		previous = answer.ID
	}
}

// turn asks a question in the conversation of the previous response. What it continues is
// charged when the answer says so.
func turn(ctx context.Context, limiter *ratelimiter.Limiter, conn *responses.ResponseConnection, question, previous string) (*responses.Response, error) {
	event := responses.ResponsesClientEventResponseCreateParam{
		Model:           openai.ChatModelGPT5_4Mini,
		Input:           responses.ResponsesClientEventResponseCreateInputUnionParam{OfString: param.NewOpt(question)},
		MaxOutputTokens: param.NewOpt[int64](100),
	}
	if previous != "" {
		event.PreviousResponseID = param.NewOpt(previous)
	}
	body, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	r, err := limiter.Acquire(ctx, ratelimiter.JSON("responses", body))
	if err != nil {
		return nil, err
	}
	defer r.Cancel() // unless it is settled
	if err := conn.Create(ctx, event); err != nil {
		return nil, err
	}
	answer, err := conn.FinalResponse(ctx)
	if err != nil {
		r.Settle(ratelimiter.Usage{}) // it was sent: the charge stays
		return nil, err
	}
	r.Settle(openaigo.ResponseUsage(answer.Usage))
	return answer, nil
}
