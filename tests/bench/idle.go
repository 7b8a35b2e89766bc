// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

func read(response *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// measureIdle imports users, starts the server anew, and looks at its memory when nothing happens.
func measureIdle(path string, o options) error {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	s, err := start(path, dir, "", "")
	if err != nil {
		return err
	}
	took, err := s.importUsers(o.users)
	s.stop()
	if err != nil {
		return err
	}
	if s, err = start(path, dir, "", ""); err != nil {
		return err
	}
	defer s.stop()
	<-time.After(10 * time.Second) // for the garbage of the start to be given back
	resident, err := s.resident()
	fmt.Printf("  import of %d users %.1f s · start %.2f s · resident %.0f MB\n",
		o.users, took.Seconds(), s.Took.Seconds(), float64(resident)/1e6)
	return err
}

func (s *server) importUsers(n int) (time.Duration, error) {
	var lines bytes.Buffer
	for i := range n {
		fmt.Fprintf(&lines, `{"login":"user%d@example.com","attributes":{"name":"User %d","email":"user%d@example.com"}}`+"\n", i, i, i)
	}
	file := filepath.Join(s.Dir, "users.ndjson")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		return 0, err
	}
	began := time.Now()
	out, err := s.Command(context.Background(), "user", "import", file, "--address", s.Socket()).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("importing: %w\n%.2000s", err, out)
	}
	return time.Since(began), nil
}
