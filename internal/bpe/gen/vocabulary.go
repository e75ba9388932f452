package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pkoukk/tiktoken-go-loader/assets"

	"github.com/openai-ratelimiter/ratelimiter/internal/bpe/layout"
)

// A source is a vocabulary as OpenAI publishes it, with the checksum that
// tiktoken expects of it (tiktoken_ext/openai_public.py).
type source struct {
	name, file, sha256 string
}

var (
	sources = []source{
		{"o200k", "o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"},
		{"cl100k", "cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"},
		p50k,
	}
	p50k = source{"p50k", "p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"}
	r50k = source{"r50k", "r50k_base.tiktoken", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"}
)

// checkShared checks that p50k_base can stand for r50k_base: it has the same
// tokens, and those that it has besides hold two spaces in a row, which none of
// r50k_base does.
func checkShared() error {
	p, err := p50k.read()
	if err != nil {
		return err
	}
	r, err := r50k.read()
	if err != nil {
		return err
	}
	for id, token := range p.tokens {
		common := id < len(r.tokens)
		if common && token != r.tokens[id] || token != "" && strings.Contains(token, "  ") == common {
			return fmt.Errorf("p50k_base does not extend r50k_base by runs of spaces: token %d is %q", id, token)
		}
	}
	return nil
}

// A vocabulary has its tokens by rank; the ranks that special tokens take are
// empty.
type vocabulary struct {
	tokens []string
	ranks  map[string]uint32
}

func (s source) read() (*vocabulary, error) {
	content, err := assets.Assets.ReadFile(s.file)
	if err != nil {
		return nil, err
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(content)); sum != s.sha256 {
		return nil, fmt.Errorf("%s: checksum %s, want %s", s.file, sum, s.sha256)
	}
	v, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	return v, nil
}

// parse reads lines of a token in base64 and its rank.
func parse(content []byte) (*vocabulary, error) {
	v := &vocabulary{ranks: map[string]uint32{}}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		encoded, digits, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		token, err := base64.StdEncoding.AppendDecode(nil, encoded)
		if err != nil {
			return nil, err
		}
		rank, err := strconv.ParseUint(string(digits), 10, 32)
		if err != nil {
			return nil, err
		}
		switch {
		case rank >= layout.None:
			return nil, fmt.Errorf("rank %d does not fit", rank)
		case len(token) == 0:
			return nil, errors.New("an empty token")
		case (len(token) == 1) != (rank < layout.Bytes):
			return nil, fmt.Errorf("token %q has rank %d, the single bytes are expected to come first", token, rank)
		}
		for len(v.tokens) <= int(rank) {
			v.tokens = append(v.tokens, "")
		}
		v.tokens[rank] = string(token)
		v.ranks[string(token)] = uint32(rank)
	}
	return v, nil
}

// records describes every token by the last merge that leads to it.
func (v *vocabulary) records() ([]layout.Token, error) {
	records := make([]layout.Token, len(v.tokens))
	isLeft, isRight := make([]bool, len(v.tokens)), make([]bool, len(v.tokens))
	for id, token := range v.tokens {
		left, right := uint32(layout.None), uint32(layout.None)
		if len(token) > 1 {
			n := v.lastMerge(token)
			if n == 0 {
				// Counting relies on that a piece which is a token is
				// what its bytes merge into.
				return nil, fmt.Errorf("the bytes of token %d, %q, do not merge into it", id, token)
			}
			left, right = v.ranks[token[:n]], v.ranks[token[n:]]
			isLeft[left], isRight[right] = true, true
		}
		records[id] = layout.MakeToken(left, right)
	}
	for id := range records {
		if isLeft[id] {
			records[id] = records[id].AsLeft()
		}
		if isRight[id] {
			records[id] = records[id].AsRight()
		}
	}
	return records, nil
}

// lastMerge merges a token's bytes as byte pair encoding does, always the pair of
// lowest rank and of equal ones the leftmost, and returns where the two parts meet
// that are merged last, or 0 if more than one part remains.
func (v *vocabulary) lastMerge(token string) int {
	starts := make([]int, len(token)+1)
	for i := range starts {
		starts[i] = i
	}
	for len(starts) > 3 {
		best, at := uint32(math.MaxUint32), 0
		for i := range len(starts) - 2 {
			if rank, ok := v.ranks[token[starts[i]:starts[i+2]]]; ok && rank < best {
				best, at = rank, i+1
			}
		}
		if at == 0 {
			return 0
		}
		starts = append(starts[:at], starts[at+1:]...)
	}
	return starts[1]
}

func recordBytes(records []layout.Token) []byte {
	out := make([]byte, len(records)*layout.TokenSize+layout.TokenPadding)
	for id, r := range records {
		binary.LittleEndian.PutUint64(out[id*layout.TokenSize:], uint64(r))
	}
	return out
}
