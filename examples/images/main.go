// Images generates many images. Their limit counts images a minute beside requests and
// tokens, and the limiter knows what each costs before it is asked for.
package main

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
	"github.com/openai-ratelimiter/ratelimiter/openaitest"
)

var prompts = []string{"a lighthouse in fog", "a harbour at night", "a map of the southern sky", "a ship's clock"}

func main() {
	dir := flag.String("dir", os.TempDir(), "where the images are written")
	flag.Parse()
	const model = openai.ImageModelGPTImage1Mini
	limiter, err := ratelimiter.New(
		ratelimiter.WithLimits(model, ratelimiter.Limits{TPM: 250_000, IPM: 120, Burst: time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	base := standin.Base("OPENAI_API_KEY", openaitest.WithLimits(model, openaitest.Limits{TPM: 250_000, IPM: 120}))
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))

	var wg sync.WaitGroup
	for i, prompt := range prompts {
		wg.Go(func() {
			resp, err := client.Images.Generate(context.Background(), openai.ImageGenerateParams{
				Model: model, Prompt: prompt, Size: openai.ImageGenerateParamsSize1024x1024, Quality: openai.ImageGenerateParamsQualityLow,
			})
			if err != nil {
				log.Printf("%s: %v", prompt, err)
				return
			}
			png, err := base64.StdEncoding.DecodeString(resp.Data[0].B64JSON)
			if err != nil {
				log.Printf("%s: %v", prompt, err)
				return
			}
			name := filepath.Join(*dir, fmt.Sprintf("image-%d.png", i+1))
			if err := os.WriteFile(name, png, 0o644); err != nil {
				log.Print(err)
				return
			}
			fmt.Printf("%s is in %s\n", prompt, name)
		})
	}
	wg.Wait()
}
