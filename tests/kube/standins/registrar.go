package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const (
	registrationFolder = "/registration" // the node's plugins_registry, which kubelet watches
	answerTimeout      = time.Minute     // what the driver may take until it says its name
)

// pluginInfo answers kubelet, and says on `refused` why kubelet did not take the driver.
type pluginInfo struct {
	registration.UnimplementedRegistrationServer
	driver, endpoint string
	refused          chan error
}

func (p *pluginInfo) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{Type: registration.CSIPlugin, Name: p.driver, Endpoint: p.endpoint, SupportedVersions: []string{"1.0.0"}}, nil
}

func (p *pluginInfo) NotifyRegistrationStatus(_ context.Context, status *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	fmt.Printf("kubelet: registered=%v %s\n", status.PluginRegistered, status.Error)
	if !status.PluginRegistered {
		p.refused <- errors.New("kubelet refused the driver: " + status.Error)
	}
	return &registration.RegistrationStatusResponse{}, nil
}

// connect dials a CSI driver's socket; it is there when the first call succeeds.
func connect(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// driverName waits for the driver, which may start after this container.
func driverName(address string) (string, error) {
	connection, err := connect(address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	answer, err := csi.NewIdentityClient(connection).GetPluginInfo(ctx, &csi.GetPluginInfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return "", fmt.Errorf("the driver at %s does not say its name: %w", address, err)
	}
	return answer.GetName(), nil
}

func register() error {
	address := flag.String("csi-address", "/run/csi/socket", "path of the driver's socket in this container")
	endpoint := flag.String("kubelet-registration-path", "", "path of the driver's socket on the node")
	flag.Parse()
	name, err := driverName(*address)
	if err != nil {
		return err
	}
	socket := filepath.Join(registrationFolder, name+"-reg.sock")
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	info := &pluginInfo{driver: name, endpoint: *endpoint, refused: make(chan error, 1)}
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, info)
	go server.Serve(listener)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err = <-info.refused:
	case <-ended:
	}
	server.Stop() // removes the socket, by which kubelet learns that the driver has gone
	return err
}
