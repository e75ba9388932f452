//go:build !linux

package redistest

import "os/exec"

// dieWithParent does nothing where the kernel can't.
func dieWithParent(*exec.Cmd) {}
