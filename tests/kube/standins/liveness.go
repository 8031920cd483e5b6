package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

func probe() error {
	address := flag.String("csi-address", "/run/csi/socket", "path of the driver's socket in this container")
	endpoint := flag.String("http-endpoint", ":9808", "where /healthz is served")
	timeout := flag.Duration("probe-timeout", time.Second, "what the driver may take to answer")
	flag.Parse()
	if _, err := driverName(*address); err != nil {
		return err
	}
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, request *http.Request) {
		ctx, cancel := context.WithTimeout(request.Context(), *timeout)
		defer cancel()
		if err := ask(ctx, *address); err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			fmt.Println(err)
			return
		}
		fmt.Fprintln(answer, "ok")
	})
	return http.ListenAndServe(*endpoint, nil)
}

// ask probes by a connection of its own, as kubelet would have to make one.
func ask(ctx context.Context, address string) error {
	connection, err := connect(address)
	if err != nil {
		return err
	}
	defer connection.Close()
	answer, err := csi.NewIdentityClient(connection).Probe(ctx, &csi.ProbeRequest{})
	if err != nil {
		return fmt.Errorf("Probe: %w", err)
	}
	if answer.GetReady() != nil && !answer.GetReady().GetValue() {
		return fmt.Errorf("Probe: the driver is not ready")
	}
	return nil
}
