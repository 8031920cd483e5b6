// One program that is kubelet, kube-proxy and coredns, by the name that it is called by, as ../kubernetes is for the control plane. It is a module of
// its own, so that only the test that runs pods builds it.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
)

func main() {
	name := filepath.Base(os.Args[0])
	if name == "coredns" {
		dnsserver.Directives = []string{"errors", "kubernetes", "template"} // the plug-ins that are in this program, in their order
		coremain.Run()
		return
	}
	// Making a command registers its feature gates: only the one that is asked for is made.
	commands := map[string]func() *cobra.Command{
		"kubelet":    func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
		"kube-proxy": proxy.NewProxyCommand,
	}
	command, known := commands[name]
	if !known {
		fmt.Fprintf(os.Stderr, "wanted to be called as kubelet, kube-proxy or coredns, found %q\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command()))
}
