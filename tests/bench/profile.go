// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
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
	body, err := s.admin(fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(length.Seconds()))))
	if err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	file := strings.NewReplacer(" ", "_", ",", "").Replace(name) + ".pprof"
	return os.WriteFile(filepath.Join(dir, file), body, 0o600)
}

// keep writes files into the folder for profiles, where there is one.
func (o options) keep(files map[string][]byte) error {
	for name, data := range files {
		if o.profiles == "" {
			break
		}
		if err := os.WriteFile(filepath.Join(o.profiles, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
