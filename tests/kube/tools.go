//go:build tools

// Package kube pins, by go.mod and go.sum beside it, the Kubernetes programs that tests run; `hack/kube-tools` builds them.
package kube

import (
	_ "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity"
)
