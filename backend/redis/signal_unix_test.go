//go:build unix

package redis

import "syscall"

const standStill, goOn = syscall.SIGSTOP, syscall.SIGCONT
