package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mainstem/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// After the first signal the default action is back, so a second one ends
	// the process at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, cli.Invocation{Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	stop()
	os.Exit(code)
}
