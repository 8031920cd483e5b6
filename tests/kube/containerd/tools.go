//go:build tools

// Package containerd pins, by go.mod and go.sum beside it, the programs of containerd that a test runs; `hack/kube-tools` builds them.
package containerd

import (
	_ "github.com/containerd/containerd/v2/cmd/containerd"
	_ "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"
	_ "github.com/containerd/containerd/v2/cmd/ctr"
)
