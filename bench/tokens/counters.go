package main

import (
	"github.com/pkoukk/tiktoken-go"
	tiktoken_loader "github.com/pkoukk/tiktoken-go-loader"
	"github.com/tiktoken-go/tokenizer"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe"
)

// A trio counts the same encoding in three ways, each as its users would: ours
// takes bytes, the others strings.
type trio struct {
	name      string
	ours      *bpe.Encoding
	pkoukk    *tiktoken.Tiktoken
	tokenizer tokenizer.Codec
}

func trios() ([]trio, error) {
	tiktoken.SetBpeLoader(tiktoken_loader.NewOfflineLoader())
	out := []trio{
		{name: "o200k_base", ours: bpe.O200kBase},
		{name: "cl100k_base", ours: bpe.CL100kBase},
		{name: "p50k_base", ours: bpe.P50kBase},
		{name: "r50k_base", ours: bpe.R50kBase},
	}
	for i := range out {
		var err error
		if out[i].pkoukk, err = tiktoken.GetEncoding(out[i].name); err != nil {
			return nil, err
		}
		if out[i].tokenizer, err = tokenizer.Get(tokenizer.Encoding(out[i].name)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t trio) countOurs(text []byte) int { return t.ours.Count(text) }

func (t trio) countPkoukk(text string) int { return len(t.pkoukk.EncodeOrdinary(text)) }

func (t trio) countTokenizer(text string) int {
	n, err := t.tokenizer.Count(text)
	if err != nil {
		return -1
	}
	return n
}
