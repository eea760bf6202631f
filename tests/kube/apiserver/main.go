// SPDX-License-Identifier: Apache-2.0

// The servers of a Kubernetes control plane in one program, which the first argument chooses.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

var servers = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
}

func main() {
	if len(os.Args) > 1 {
		if server, ok := servers[os.Args[1]]; ok {
			os.Args = os.Args[1:]
			os.Exit(cli.Run(server()))
		}
	}
	fmt.Fprintln(os.Stderr, "first argument: kube-apiserver or kube-controller-manager")
	os.Exit(2)
}
