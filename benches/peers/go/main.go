// The peer in the benchmarks: a scaler as one writes it first, on grpc-go. One mutex a function, a map of busy instances,
// a list of free ones, a fixed keep-alive, no logging. Every published figure of Pilotlight's front is a ratio to it,
// measured side by side.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"pilotlight/benches/peers/go/wire"
)

func main() {
	address := flag.String("address", "127.0.0.1:9001", "where to listen; port 0 takes a free one")
	platform := flag.String("platform", "127.0.0.1:50051", "where the platform listens")
	keepAlive := flag.Duration("keep-alive", 5*time.Minute, "how long a free instance is kept")
	flag.Parse()
	if err := run(*address, *platform, *keepAlive); err != nil {
		fmt.Fprintln(os.Stderr, "go peer:", err)
		os.Exit(2)
	}
}

func run(address, platform string, keepAlive time.Duration) error {
	connection, err := grpc.NewClient(platform, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	scaler := newScaler(wire.NewPlatformClient(connection), keepAlive)
	wire.RegisterScalerServer(server, scaler)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go scaler.sweep(ctx)
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	// The one line on stdout: whoever started this on port 0 reads where it listens.
	fmt.Println("listening", listener.Addr())
	return server.Serve(listener)
}
