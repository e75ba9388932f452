// Embeddings embeds the lines of a file, a hundred a request and eight requests at a time,
// and shows how far it is. The limiter paces the requests. Stop it with Ctrl-C and start it
// again: it goes on after the last line that it has written.
//
//	go run ./embeddings -in lines.txt -out vectors.jsonl
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

const (
	perRequest = 100
	atOnce     = 8
)

func main() {
	in := flag.String("in", "embeddings/lines.txt", "the file whose lines are embedded")
	out := flag.String("out", "vectors.jsonl", "the file that the vectors are appended to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *in, *out); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, in, out string) error {
	limits := ratelimiter.Limits{RPM: 3000, TPM: 1_000_000}
	limiter, err := ratelimiter.New(ratelimiter.WithLimits(openai.EmbeddingModelTextEmbedding3Small, limits))
	if err != nil {
		return err
	}
	base := standin.Base("OPENAI_API_KEY", openaitest.WithLimits(openai.EmbeddingModelTextEmbedding3Small,
		openaitest.Limits{RPM: limits.RPM, TPM: limits.TPM}))
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))

	text, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	f, done, err := resume(out)
	if err != nil {
		return err
	}
	defer f.Close()
	if done > 0 {
		fmt.Printf("%d of %d lines were done already\n", done, len(lines))
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan chan batch, atOnce-1) // in order, whatever comes first
	go func() {
		defer close(batches)
		for part := range slices.Chunk(lines[min(done, len(lines)):], perRequest) {
			result := make(chan batch, 1)
			select {
			case batches <- result:
				go func() { result <- embed(ctx, client, part) }()
			case <-ctx.Done():
				return
			}
		}
	}()
	w := json.NewEncoder(f)
	for result := range batches {
		b := <-result
		if b.err != nil {
			return b.err
		}
		for _, e := range b.embeddings {
			if err := w.Encode(e.Embedding); err != nil {
				return err
			}
		}
		done += len(b.embeddings)
		fmt.Printf("%d of %d lines\n", done, len(lines))
	}
	return ctx.Err()
}

type batch struct {
	embeddings []openai.Embedding
	err        error
}

func embed(ctx context.Context, client openai.Client, lines []string) batch {
	resp, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: openai.EmbeddingModelTextEmbedding3Small,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: lines},
	})
	if err != nil {
		return batch{err: err}
	}
	slices.SortFunc(resp.Data, func(a, b openai.Embedding) int { return cmp.Compare(a.Index, b.Index) })
	return batch{embeddings: resp.Data}
}

// resume opens the output and counts the lines that are whole. What follows them is cut off.
func resume(name string) (f *os.File, lines int, err error) {
	if f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, 0, err
	}
	whole := int64(0)
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if !bytes.HasSuffix(line, []byte("\n")) {
			if err != io.EOF {
				return nil, 0, err
			}
			break
		}
		whole += int64(len(line))
		lines++
	}
	if err := f.Truncate(whole); err != nil {
		return nil, 0, err
	}
	_, err = f.Seek(whole, io.SeekStart)
	return f, lines, err
}
