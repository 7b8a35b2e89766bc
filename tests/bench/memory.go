// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// admin asks the server's admin endpoint. Caddy offers Go's own debugging pages there.
func (s *server) admin(path string) ([]byte, error) {
	socket := strings.TrimPrefix(s.Socket(), "unix/")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://127.0.0.1" + path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d", path, response.StatusCode)
	}
	return body, err
}

// memory is what a server's memory consists of, in bytes. Resident counts what was given back to the system and what is
// garbage too; heap is live after a collection alone.
type memory struct {
	resident, heap, stacks int64
}

// memory looks at the server's memory as it is.
func (s *server) memory() (m memory, err error) {
	if m.resident, err = s.resident(); err != nil {
		return m, err
	}
	body, err := s.admin("/debug/vars")
	if err != nil {
		return m, err
	}
	var vars struct {
		Stats struct{ HeapAlloc, StackInuse int64 } `json:"memstats"`
	}
	err = json.Unmarshal(body, &vars)
	m.heap, m.stacks = vars.Stats.HeapAlloc, vars.Stats.StackInuse
	return m, err
}

// collections is how many it takes until stacks have shrunk: each halves those that are used to less than a quarter.
const collections = 5

// live looks at the server's memory after collections, and returns a profile of what is on the heap.
func (s *server) live() (m memory, heap []byte, err error) {
	for range collections {
		if heap, err = s.admin("/debug/pprof/heap?gc=1"); err != nil {
			return m, nil, err
		}
	}
	m, err = s.memory()
	return m, heap, err
}

// goroutines counts the server's goroutines that are in a function.
func (s *server) goroutines(function string) (n int, text []byte, err error) {
	text, err = s.admin("/debug/pprof/goroutine?debug=1")
	for stack := range strings.SplitSeq(string(text), "\n\n") {
		if !strings.Contains(stack, function) {
			continue
		}
		_, count, _ := strings.Cut("\n"+stack, "\n")
		if strings.HasPrefix(count, "goroutine profile:") { // the first has the total above it
			_, count, _ = strings.Cut(count, "\n")
		}
		count, _, _ = strings.Cut(count, " ")
		some, bad := strconv.Atoi(count)
		err = errors.Join(err, bad)
		n += some
	}
	return n, text, err
}

// resident returns the server's resident memory in bytes.
func (s *server) resident() (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.Pid()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, errors.New("/proc does not say what it should")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
