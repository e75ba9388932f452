// Otel measures the limiter with OpenTelemetry and shows Prometheus the metrics. With -serve
// it goes on doing so; docs/observability has a dashboard and alerts for them.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/openai-ratelimiter/ratelimiter"
	"github.com/openai-ratelimiter/ratelimiter/adapters/openaigo"
	ratelimiterotel "github.com/openai-ratelimiter/ratelimiter/adapters/otel"
	"github.com/openai-ratelimiter/ratelimiter/examples/internal/standin"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where metrics are shown")
	serve := flag.Bool("serve", false, "go on after the calls")
	flag.Parse()

	exporter, err := prometheus.New()
	if err != nil {
		log.Fatal(err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(exporter))
	metrics := ratelimiterotel.WithMetrics(ratelimiterotel.WithMeterProvider(provider))
	limiter, err := ratelimiter.New(metrics,
		ratelimiter.WithLimits(openai.ChatModelGPT5_4Mini, ratelimiter.Limits{RPM: 240, Burst: time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler())
	go func() { log.Fatal(http.Serve(listener, mux)) }()
	url := fmt.Sprintf("http://%s/metrics", listener.Addr())
	fmt.Println("metrics are at", url)

	base := standin.Base("OPENAI_API_KEY")
	client := openai.NewClient(openaigo.WithLimiter(limiter, base))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
				Model:    openai.ChatModelGPT5_4Mini,
				Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name a star.")},
			})
			if err != nil {
				log.Print(err)
			}
		})
	}
	wg.Wait()
	if *serve {
		select {}
	}

	resp, err := http.Get(url) // as Prometheus does
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, labels, ok := strings.Cut(lines.Text(), "{"); ok && strings.HasPrefix(name, "ratelimiter_requests") {
			fmt.Println(name, labels[strings.LastIndexByte(labels, '}')+1:])
		}
	}
	if err := metrics.Unregister(); err != nil {
		log.Fatal(err)
	}
}
