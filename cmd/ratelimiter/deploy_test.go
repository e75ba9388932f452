package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// dockerfile is the image's, as its instructions.
func dockerfile(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	instructions := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(name, "#") {
			instructions[name] = append(instructions[name], rest)
		}
	}
	return instructions
}

// command reads one in the form of JSON.
func command(t *testing.T, text string) []string {
	t.Helper()
	var args []string
	if err := json.Unmarshal([]byte(text[strings.IndexByte(text, '['):]), &args); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return args
}

// What the Dockerfile says of ports is what the flags say.
func TestDockerfile(t *testing.T) {
	d := dockerfile(t)
	entry := command(t, d["ENTRYPOINT"][0])
	c := loaded(t, entry[1:]...)
	if want := strings.TrimPrefix(c.listen, ":") + " " + strings.TrimPrefix(c.admin, ":"); d["EXPOSE"][0] != want {
		t.Errorf("the image exposes %s, and serves %s", d["EXPOSE"], want)
	}
	_, port, err := net.SplitHostPort(keyNamed("admin").standard)
	if check := command(t, d["HEALTHCHECK"][0]); err != nil || c.admin != ":"+port || len(check) != 2 || check[1] != "healthcheck" {
		t.Errorf("the health check is %v, which asks at port %s, and the admin is at %s", check, port, c.admin)
	}
	if user := d["USER"][0]; user != fmt.Sprintf("%d:%d", nobody, nobody) {
		t.Errorf("the user is %s", user)
	}
}

// nobody is the image's user.
const nobody = 65532

// The image's program, built and started as the Dockerfile says, serves where there is nothing
// but itself, as a user who may do nothing.
func TestImage(t *testing.T) {
	if !long() {
		t.Skip("make test-sidecar runs it, for it builds the program once more")
	}
	if os.Getuid() != 0 {
		t.Fatal("only root may change the root directory, which stands for the image")
	}
	d := dockerfile(t)
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	build := d["RUN"][len(d["RUN"])-1]
	_, build, _ = strings.Cut(build, "&& ")
	build = strings.Replace(build, "-o /ratelimiter", "-o "+root+"/ratelimiter", 1)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", build)
	cmd.Env = append(os.Environ(), "VERSION=v1.2.3")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	inImage := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir, cmd.Env = "/", []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return cmd
	}
	if out, err := inImage("/ratelimiter", "-version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "ratelimiter v1.2.3 ") {
		t.Errorf("%v %s", err, out)
	}
	a := serveAPI(t, nil)
	entry := command(t, d["ENTRYPOINT"][0])
	// Its ports may be taken on this machine: those of the test go behind the image's.
	server := inImage(append(entry, "-listen=127.0.0.1:0", "-admin=127.0.0.1:0", "-log-format=json", "-upstream="+a.url)...)
	r := attach(t, server)
	if body := all(t, do(t, chat(t, r.url, "m"))); !strings.Contains(body, "choices") {
		t.Error(body)
	}
	check := command(t, d["HEALTHCHECK"][0])
	if out, err := inImage(append(check, strings.TrimPrefix(r.admin, "http://"))...).CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
	r.signal(syscall.SIGTERM)
	r.exit(exitOK)
}

// manifests are the objects of a file, each with only the fields that its kind has.
func manifests(t *testing.T, path string) (objects []any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		var kind struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		object, ok := map[string]any{
			"v1 ConfigMap": &corev1.ConfigMap{}, "v1 Service": &corev1.Service{}, "apps/v1 Deployment": &appsv1.Deployment{},
			"networking.k8s.io/v1 NetworkPolicy": &networkingv1.NetworkPolicy{},
		}[kind.APIVersion+" "+kind.Kind]
		if !ok {
			t.Fatalf("%s: a %v", path, kind)
		}
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		objects = append(objects, object)
	}
}

// The examples for Kubernetes are what Kubernetes takes, and what they say of the proxy is what
// its flags and file say.
func TestKubernetes(t *testing.T) {
	paths, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(paths) != 2 {
		t.Fatal(paths, err)
	}
	entry := command(t, dockerfile(t)["ENTRYPOINT"][0])
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			objects := manifests(t, path)
			settings := objects[0].(*corev1.ConfigMap)
			pod := objects[1].(*appsv1.Deployment).Spec.Template
			spec := pod.Spec
			i := slices.IndexFunc(append(spec.InitContainers, spec.Containers...), func(c corev1.Container) bool { return c.Name == "ratelimiter" })
			proxy := append(spec.InitContainers, spec.Containers...)[i]

			args := proxy.Args
			if len(proxy.Command) == 0 {
				args = append(entry[1:len(entry):len(entry)], args...)
			} else if proxy.Command[0] != entry[0] {
				t.Errorf("the command is %v", proxy.Command)
			}
			mount := proxy.VolumeMounts[0]
			if spec.Volumes[0].Name != mount.Name || spec.Volumes[0].ConfigMap.Name != settings.Name {
				t.Errorf("%v is mounted from %v", mount, spec.Volumes)
			}
			for i, arg := range args { // the file is in the ConfigMap
				if name, ok := strings.CutPrefix(arg, "-config="+mount.MountPath+"/"); ok {
					args[i] = "-config=" + write(t, name, settings.Data[name])
				}
			}
			t.Setenv(proxy.Env[0].Name, "redis://:password@redis:6379/0")
			c := loaded(t, args...)
			if c.redis == nil {
				t.Error("its replicas have no Redis")
			}
			ports := map[string]string{}
			for _, p := range proxy.Ports {
				ports[p.Name] = fmt.Sprint(p.ContainerPort)
			}
			if c.admin != ":"+ports["admin"] || pod.Annotations["prometheus.io/port"] != ports["admin"] {
				t.Errorf("-admin is %s, the ports are %v", c.admin, ports)
			}
			for what, probe := range map[string]*corev1.Probe{"startup": proxy.StartupProbe, "readiness": proxy.ReadinessProbe, "liveness": proxy.LivenessProbe} {
				if probe != nil && (probe.HTTPGet.Path != "/healthz" || probe.HTTPGet.Port.String() != "admin") {
					t.Errorf("the %s probe asks %v", what, probe.HTTPGet)
				}
			}
			least := c.grace + settling
			if proxy.Lifecycle != nil {
				least += time.Duration(proxy.Lifecycle.PreStop.Sleep.Seconds) * time.Second
			}
			if given := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second; given <= least {
				t.Errorf("it is killed after %v, and may need %v", given, least)
			}
			if s := proxy.SecurityContext; !*s.RunAsNonRoot || !*s.ReadOnlyRootFilesystem {
				t.Errorf("it may do %v", s)
			}

			if len(objects) == 2 { // a sidecar, which is called from its pod alone
				base, err := url.Parse(spec.Containers[0].Env[0].Value)
				if err != nil || base.Host != c.listen || base.Path != "/v1" || *proxy.RestartPolicy != corev1.ContainerRestartPolicyAlways {
					t.Errorf("the application calls %v, the proxy listens at %s", base, c.listen)
				}
				return
			}
			service, policy := objects[2].(*corev1.Service), objects[3].(*networkingv1.NetworkPolicy)
			if port := service.Spec.Ports[0].TargetPort.String(); port != "proxy" || c.listen != ":"+ports[port] {
				t.Errorf("the service is at %s, the proxy listens at %s", port, c.listen)
			}
			for _, selector := range []map[string]string{service.Spec.Selector, policy.Spec.PodSelector.MatchLabels} {
				if fmt.Sprint(selector) != fmt.Sprint(pod.Labels) {
					t.Errorf("%v selects no %v", selector, pod.Labels)
				}
			}
			for _, rule := range policy.Spec.Ingress {
				if port := rule.Ports[0].Port.String(); ports[port] == "" {
					t.Errorf("there is no port %s", port)
				}
			}
		})
	}
}
