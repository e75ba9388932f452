//go:build !unix

package redistest

import "syscall"

// No process can be made to stand still here: sending these is an error.
const StandStill, GoOn = syscall.Signal(19), syscall.Signal(18)
