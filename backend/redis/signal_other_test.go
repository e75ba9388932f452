//go:build !unix

package redis

import "syscall"

// No process can be told to stand still here: sending these is an error.
const standStill, goOn = syscall.Signal(19), syscall.Signal(18)
