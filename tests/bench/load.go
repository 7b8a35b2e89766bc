// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is one kind of request: to an address, each built from the number it has.
type load struct {
	name    string
	address string
	clients int
	request func(n int) []byte
	// limit ends a round after so many requests; zero is none.
	limit int
	// status is what every answer must have.
	status int
}

// figure is what one measurement found.
type figure struct {
	requests int
	took     time.Duration
	cpu      time.Duration
}

func (f figure) each() time.Duration { return f.cpu / time.Duration(max(f.requests, 1)) }

func (f figure) rate() float64 { return float64(f.requests) / f.took.Seconds() }

// measure sends the load for a while and reads what it cost the server.
func (s *server) measure(l load, length time.Duration, next *atomic.Int64) (figure, error) {
	before, err := s.cpu()
	if err != nil {
		return figure{}, err
	}
	began := time.Now()
	deadline := began.Add(length)
	var done atomic.Int64
	failures := make(chan error, l.clients)
	var group sync.WaitGroup
	for range l.clients {
		group.Go(func() {
			if err := client(l, deadline, next, &done); err != nil {
				failures <- err
			}
		})
	}
	group.Wait()
	close(failures)
	took := time.Since(began)
	after, err := s.cpu()
	return figure{int(done.Load()), took, after - before}, errors.Join(err, <-failures)
}

// client is one connection that is kept open.
func client(l load, deadline time.Time, next, done *atomic.Int64) error {
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // everything has been read
	reader := bufio.NewReader(conn)
	for time.Now().Before(deadline) {
		n := int(next.Add(1)) - 1
		if l.limit > 0 && n >= l.limit {
			return nil
		}
		if _, err := ask(conn, reader, l.request(n), l.status); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		done.Add(1)
	}
	return nil
}

// ask sends a request over a connection that is kept open, and returns the body of the answer.
func ask(conn net.Conn, reader *bufio.Reader, request []byte, status int) ([]byte, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != status {
		return nil, fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	return body, nil
}

// compare measures loads in turn, round by round, and prints the median processor time of each, and its ratio to the
// first.
func (s *server) compare(o options, loads ...load) error {
	found := make([][]figure, len(loads))
	next := make([]atomic.Int64, len(loads))
	for round := range o.rounds {
		for i, l := range loads {
			if l.limit > 0 { // what one round has used is not used again
				next[i].Store(int64(round * l.limit))
				l.limit *= round + 1
			}
			f, err := s.round(o, l, &next[i])
			if err != nil {
				return err
			}
			found[i] = append(found[i], f)
		}
	}
	base := median(found[0])
	for i, l := range loads {
		m := median(found[i])
		fmt.Printf("  %-34s %8.1f µs CPU/request %9.0f requests/s   ×%.2f\n",
			l.name, float64(m.each())/float64(time.Microsecond), m.rate(), float64(m.each())/float64(base.each()))
	}
	return nil
}

// round is one measurement, with a profile of it where one is wanted.
func (s *server) round(o options, l load, next *atomic.Int64) (f figure, err error) {
	err = s.profiled(o, l.name, func() error {
		f, err = s.measure(l, o.length, next)
		return err
	})
	return f, err
}

func median(figures []figure) figure {
	sorted := slices.SortedFunc(slices.Values(figures), func(a, b figure) int { return int(a.each() - b.each()) })
	return sorted[len(sorted)/2]
}

// get is a GET request with a bearer token, or none.
func get(host, token string) []byte {
	header := ""
	if token != "" {
		header = "Authorization: Bearer " + token + "\r\n"
	}
	return fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n%s\r\n", host, header)
}

// post is a form with the credentials of a client.
func post(host, path, basic, body string) []byte {
	header := ""
	if basic != "" {
		header = "Authorization: Basic " + basic + "\r\n"
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, host, header, len(body), body)
}
