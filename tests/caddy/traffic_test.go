// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// traffic are clients that do not stop asking.
type traffic struct {
	stop    context.CancelFunc
	working sync.WaitGroup
	done    atomic.Int64
	// broken counts connections that ended without an answer, which Caddy's own shutdown of keep-alive connections causes;
	// such a request is sent once more.
	broken atomic.Int64

	mu     sync.Mutex
	failed []string // guarded by mu
}

// begin starts a worker for each request, which sends it over and over and expects the status.
func begin(t *testing.T, status int, requests map[string]func() (*http.Request, error)) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	traffic := &traffic{stop: cancel}
	for name, build := range requests {
		client := &http.Client{Transport: &http.Transport{}, CheckRedirect: stay}
		traffic.working.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				traffic.one(client, name, status, build)
			}
		})
	}
	return traffic
}

func (tr *traffic) one(client *http.Client, name string, status int, build func() (*http.Request, error)) {
	for attempt := 1; ; attempt++ {
		got, body, err := try(client, build)
		switch {
		case err != nil && attempt == 1:
			tr.broken.Add(1)
			continue
		case err != nil:
			tr.fail(fmt.Sprintf("%s: %v", name, err))
		case got != status:
			tr.fail(fmt.Sprintf("%s: status %d: %s", name, got, body))
		}
		tr.done.Add(1)
		return
	}
}

func try(client *http.Client, build func() (*http.Request, error)) (status int, body string, err error) {
	r, err := build()
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

func (tr *traffic) fail(text string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.failed) < 10 {
		tr.failed = append(tr.failed, text)
	}
}

// wait waits until some more requests have been answered.
func (tr *traffic) wait(t *testing.T, more int64) {
	t.Helper()
	enough := tr.done.Load() + more
	if !eventually(t, func() bool { return tr.done.Load() >= enough }) {
		t.Fatalf("the clients are stuck after %d answers", tr.done.Load())
	}
}

// end stops the clients and reports what went wrong.
func (tr *traffic) end(t *testing.T) {
	t.Helper()
	tr.stop()
	tr.working.Wait()
	for _, text := range tr.failed {
		t.Error(text)
	}
	t.Logf("%d answers, %d connections ended by Caddy itself", tr.done.Load(), tr.broken.Load())
}

func request(method, address, body string, change ...func(*http.Request)) func() (*http.Request, error) {
	return func() (*http.Request, error) {
		r, err := http.NewRequestWithContext(context.Background(), method, address, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		for _, c := range change {
			c(r)
		}
		return r, nil
	}
}
