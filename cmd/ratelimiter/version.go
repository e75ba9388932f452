package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the linker in images and binaries that are released.
var release = ""

// version names what is running: the release, or the commit it was built from.
func version() string {
	name, commit := release, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if name == "" {
			name = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = " " + s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				commit += "+"
			}
		}
	}
	return fmt.Sprintf("ratelimiter %s%s %s %s/%s", name, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
