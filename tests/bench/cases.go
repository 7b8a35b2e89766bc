// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var machine = base64.StdEncoding.EncodeToString([]byte("machine:machine-secret-0123456789abcdefghijkl"))

const mintBody = "grant_type=client_credentials&scope=read"

// with runs a measurement on a fresh server.
func with(path, extra string, measure func(*server) error) error {
	return withRoutes(path, extra, "", measure)
}

// withRoutes runs a measurement on a fresh server whose gate has more routes.
func withRoutes(path, extra, routes string, measure func(*server) error) error {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	s, err := start(path, dir, extra, routes)
	if err != nil {
		return err
	}
	defer s.stop()
	return measure(s)
}

// mint gets n different access tokens.
func (s *server) mint(n int) ([]string, error) {
	tokens := make([]string, n)
	var next atomic.Int64
	var group sync.WaitGroup
	failures := make(chan error, 8)
	for range cap(failures) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				token, err := s.token()
				if err != nil {
					failures <- err
					return
				}
				tokens[i] = token
			}
		})
	}
	group.Wait()
	close(failures)
	return tokens, <-failures
}

func (s *server) token() (string, error) {
	request, err := http.NewRequest(http.MethodPost, "http://"+s.issuer+"/token", strings.NewReader(mintBody))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Basic "+machine)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
	}
	return answer.Token, fetch(http.DefaultClient, request, &answer, func() string { return answer.Token })
}

// fetch decodes the JSON answer to a request; want returns what must be in it.
func fetch(client *http.Client, request *http.Request, into any, want func() string) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil || want() == "" {
		return fmt.Errorf("%s answers %d: %s", request.URL.Path, response.StatusCode, body)
	}
	return nil
}

func measureKnown(path string, o options) error {
	return with(path, "", func(s *server) error {
		tokens, err := s.mint(20_000)
		if err != nil {
			return err
		}
		warm := load{name: "warm", address: s.gate, clients: 8, limit: len(tokens), status: 200,
			request: func(n int) []byte { return get(s.gate, tokens[n]) }}
		if _, err := s.measure(warm, time.Minute, new(atomic.Int64)); err != nil {
			return err
		}
		return s.compare(o,
			load{name: "plain reverse_proxy", address: s.plain, clients: 16, status: 200,
				request: func(int) []byte { return get(s.plain, tokens[0]) }},
			load{name: "protect, 1,000 known tokens", address: s.gate, clients: 16, status: 200,
				request: func(n int) []byte { return get(s.gate, tokens[n%1000]) }},
			load{name: "protect, 20,000 known tokens", address: s.gate, clients: 16, status: 200,
				request: func(n int) []byte { return get(s.gate, tokens[n%len(tokens)]) }},
		)
	})
}

func measureUnseen(path string, o options) error {
	for _, alg := range []string{"ES256", "RS256"} {
		extra := "keys {\n algorithms " + alg + "\n}"
		err := with(path, extra, func(s *server) error {
			const each = 12_000
			tokens, err := s.mint(each * o.rounds)
			if err != nil {
				return err
			}
			return s.compare(o,
				load{name: "plain reverse_proxy", address: s.plain, clients: 16, status: 200,
					request: func(int) []byte { return get(s.plain, tokens[0]) }},
				load{name: "protect, " + alg + " never seen", address: s.gate, clients: 16, status: 200, limit: each,
					request: func(n int) []byte { return get(s.gate, tokens[n]) }},
			)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func measureToken(path string, o options) error {
	return with(path, "", func(s *server) error {
		return s.compare(o, load{name: "client_credentials, ES256", address: s.issuer, clients: 16, status: 200,
			request: func(int) []byte { return post(s.issuer, "/token", machine, mintBody) }})
	})
}

func measureIntrospect(path string, o options) error {
	return with(path, "", func(s *server) error {
		tokens, err := s.mint(1000)
		if err != nil {
			return err
		}
		return s.compare(o, load{name: "introspection of a JWT of ours", address: s.issuer, clients: 16, status: 200,
			request: func(n int) []byte {
				return post(s.issuer, "/introspect", machine, url.Values{"token": {tokens[n%len(tokens)]}}.Encode())
			}})
	})
}
