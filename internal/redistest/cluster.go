package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Cluster starts three masters with a replica each and returns the servers.
func Cluster(tb testing.TB) []*Server {
	tb.Helper()
	servers := make([]*Server, 6)
	args := []string{"--cluster", "create"}
	for i := range servers {
		servers[i] = Run(tb, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
		args = append(args, servers[i].Addr)
	}
	args = append(args, "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.Command("redis-cli", args...).CombinedOutput(); err != nil {
		tb.Fatalf("redis-cli %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	for _, s := range servers {
		Eventually(tb, s.Addr+" sees the whole cluster", func() bool {
			out, err := s.Cli("cluster", "info")
			if err != nil || !strings.Contains(out, "cluster_state:ok") {
				return false
			}
			nodes, err := s.Cli("cluster", "nodes")
			return err == nil && strings.Count(nodes, "slave") == 3 && !strings.Contains(nodes, "handshake")
		})
	}
	return servers
}

// Sentinel starts a master, its replica and three sentinels that fail over after
// a second, and returns the sentinels' addresses. The master is called "main".
func Sentinel(tb testing.TB) (master, replica *Server, sentinels []string) {
	tb.Helper()
	master = Run(tb)
	replica = Run(tb, "--replicaof", fmt.Sprintf("127.0.0.1 %d", master.Port), "--repl-diskless-sync-delay", "0")
	Eventually(tb, "the replica has copied its master", func() bool {
		out, err := replica.Cli("info", "replication")
		return err == nil && strings.Contains(out, "master_link_status:up")
	})
	for range 3 {
		conf := filepath.Join(tb.TempDir(), "sentinel.conf")
		lines := fmt.Sprintf("sentinel monitor main 127.0.0.1 %d 2\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n", master.Port)
		if err := os.WriteFile(conf, []byte(lines), 0o600); err != nil {
			tb.Fatal(err)
		}
		sentinels = append(sentinels, Run(tb, confFile, conf, "--sentinel").Addr)
	}
	for _, a := range sentinels {
		Eventually(tb, "the sentinels know each other", func() bool {
			out, err := cli(a, "sentinel", "master", "main")
			return err == nil && strings.Contains(out, "num-other-sentinels\n2") && strings.Contains(out, "num-slaves\n1")
		})
	}
	return master, replica, sentinels
}

// Cli runs redis-cli against the server.
func (s *Server) Cli(args ...string) (string, error) { return cli(s.Addr, args...) }

func cli(addr string, args ...string) (string, error) {
	_, port, _ := strings.Cut(addr, ":")
	out, err := exec.Command("redis-cli", append([]string{"-p", port}, args...)...).CombinedOutput()
	return string(out), err
}

// Eventually waits until something has happened in another process.
func Eventually(tb testing.TB, what string, happened func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(60 * time.Second); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not within a minute: %s", what)
		}
	}
}
