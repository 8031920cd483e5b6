package main

import (
	"os"
	"os/signal"
	"syscall"
)

func pause() error {
	events := make(chan os.Signal, 16)
	signal.Notify(events, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for event := range events {
		if event != syscall.SIGCHLD {
			return nil
		}
		for { // one signal may stand for several ends
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
	return nil
}
