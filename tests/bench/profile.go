// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profiled does something while the server is profiled, where that is asked for. The figures of such a run are no result.
func (s *server) profiled(o options, name string, do func() error) error {
	if o.profiles == "" {
		return do()
	}
	written := make(chan error, 1)
	go func() { written <- s.profile(o.profiles, name, o.length) }()
	err := do()
	return errors.Join(err, <-written)
}

// profile has the server write where its processor time goes, for so long, into a file of the folder that is named after
// what is measured. Caddy's admin endpoint offers it.
func (s *server) profile(dir, name string, length time.Duration) error {
	socket := strings.TrimPrefix(s.Socket(), "unix/")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1/debug/pprof/profile?seconds=%d", max(1, int(length.Seconds()))))
	if err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("profiling: the server answers %d: %w", response.StatusCode, err)
	}
	file := strings.NewReplacer(" ", "_", ",", "").Replace(name) + ".pprof"
	return os.WriteFile(filepath.Join(dir, file), body, 0o600)
}
