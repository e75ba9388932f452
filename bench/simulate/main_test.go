package simulate

import (
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9/logging"
)

func TestMain(m *testing.M) {
	if config, ok := os.LookupEnv(processVariable); ok {
		if err := runProcess(config); err != nil {
			fmt.Fprintln(os.Stderr, "simulate:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	logging.Disable() // connections that end with their process
	os.Exit(m.Run())
}
