package redistest

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the command when the thread that starts it ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
