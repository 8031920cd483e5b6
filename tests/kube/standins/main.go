// Stand-ins for programs of CSI and Kubernetes whose Go modules cannot be had (docs/decisions/0013): one program, by the name that it is called by.
// They take the arguments that our manifests give to the real ones, and do what those do on the way that a test goes:
//
//	csi-node-driver-registrar  registers a CSI driver at kubelet, by kubelet's plug-in registration API v1
//	livenessprobe              answers GET /healthz by what the driver says to Identity.Probe
//	pause                      the process of a pod's sandbox: waits for its end, and for those of orphans
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	programs := map[string]func() error{
		"csi-node-driver-registrar": register,
		"livenessprobe":             probe,
		"pause":                     pause,
	}
	name := filepath.Base(os.Args[0])
	program, known := programs[name]
	if !known {
		fmt.Fprintf(os.Stderr, "wanted to be called as csi-node-driver-registrar, livenessprobe or pause, found %q\n", name)
		os.Exit(2)
	}
	if err := program(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}
