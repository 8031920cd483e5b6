// Test-only: pins the Prometheus operator, of which only the files of its CustomResourceDefinitions are wanted. Nothing of it is built, so
// that go.sum has this one module alone: hack/kube-tools loads it by `go mod download`.
module shima.io/shima/tests/kube/monitoring

go 1.25.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
