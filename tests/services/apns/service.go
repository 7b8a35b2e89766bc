// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// Config says what a service knows.
type Config struct {
	// Authority vouches for the service and for the certificates of providers. Required.
	Authority *loopback.Authority
	// Now judges the age of tokens. Required.
	Now func() time.Time
	// Keys are those that sign provider tokens.
	Keys []*Key
	// Topics are the bundle ids of the team; empty is any.
	Topics []string
	// Sandbox is the service for builds in development.
	Sandbox bool
	// Open has every device token that nothing was said of lead to whatever app is asked for.
	Open bool
	// Streams is how many are allowed on a connection once a valid token was seen on it. Default: 100.
	Streams int
	// Keep is how many requests are kept for [Service.Requests]. Default: 1000.
	Keep int
}

// Step is what one request is answered instead of the usual.
type Step struct {
	// Status with Reason, or with Body of ContentType and Header, is sent as it stands.
	Status      int
	Reason      string
	Timestamp   time.Time
	Body        string
	ContentType string
	Header      map[string]string
	// Stall leaves it without an answer, Reset breaks its stream off, Cut ends the connection in the middle of the answer, and GoAway
	// announces with Reason that the connection is left, this request unseen.
	Stall, Reset, Cut, GoAway bool
}

// Request is one request as it came.
type Request struct {
	At         time.Time
	Connection int
	Fields     map[string]string
	Payload    []byte
	// Status and Reason are what was answered; no status where there was no answer.
	Status int
	Reason string
}

// Stats counts what has happened since the start.
type Stats struct {
	Connections, Requests, Accepted int
	// Surplus counts streams that were refused because there were too many, and Most is the largest number that were open.
	Surplus, Most int
}

// device is what is known of a device token.
type device struct {
	topic     string
	dead      time.Time // when it was found dead
	throttled bool
}

// Service answers on a port of its own. It is safe for concurrent use.
type Service struct {
	// URL is the base of the service.
	URL string
	// Inbox is what was delivered; it is served at /inbox/{device token} as well.
	Inbox loopback.Inbox
	// Script is what happens to the next requests.
	Script loopback.Script[Step]

	config   Config
	streams  int
	listener net.Listener
	cancel   context.CancelFunc
	group    sync.WaitGroup

	mu       sync.Mutex
	keys     []*Key
	devices  map[string]device
	requests []Request
	stats    Stats
	open     map[*conn]struct{}
}

// Start listens and answers until [Service.Close].
func Start(c Config) (*Service, error) {
	if c.Authority == nil || c.Now == nil {
		return nil, errors.New("an authority and a clock are required")
	}
	leaf, err := c.Authority.Server()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if c.Streams == 0 {
		c.Streams = 100
	}
	if c.Keep == 0 {
		c.Keep = 1000
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{
		URL: "https://" + listener.Addr().String(), config: c, streams: c.Streams, cancel: cancel, keys: c.Keys,
		devices: map[string]device{}, open: map[*conn]struct{}{},
		listener: tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{leaf}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12, Time: c.Now,
			ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: c.Authority.Pool(),
		}),
	}
	s.group.Go(func() { s.accept(ctx) })
	return s, nil
}

func (s *Service) accept(ctx context.Context) {
	for {
		accepted, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &conn{service: s, tls: accepted.(*tls.Conn), limit: 1, streams: map[uint32]*stream{}}
		if !s.enter(ctx, c) {
			_ = accepted.Close()
			return
		}
		s.group.Go(func() {
			c.serve(ctx)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.open, c)
		})
	}
}

func (s *Service) enter(ctx context.Context, c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Connections++
	c.id = s.stats.Connections
	s.open[c] = struct{}{}
	return ctx.Err() == nil
}

// Close hangs up and waits for what is under way.
func (s *Service) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.Hangup()
	s.group.Wait()
	return err
}

// Hangup closes all connections.
func (s *Service) Hangup() {
	s.mu.Lock()
	open := maps.Clone(s.open)
	s.mu.Unlock()
	for c := range open {
		_ = c.tls.NetConn().Close()
	}
}

// Register has a device token lead to an app, as an installation does.
func (s *Service) Register(token, topic string) { s.put(token, device{topic: topic}) }

// Kill has a device token lead nowhere since a moment, as removing the app does.
func (s *Service) Kill(token string, since time.Time) { s.put(token, device{dead: since}) }

// Throttle has a device get no more, as one that got too much.
func (s *Service) Throttle(token, topic string) { s.put(token, device{topic: topic, throttled: true}) }

func (s *Service) put(token string, d device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices[token] = d
}

// Revoke has a key no longer sign valid tokens.
func (s *Service) Revoke(keyID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := []*Key{}
	for _, k := range s.keys {
		if k.KeyID != keyID {
			kept = append(kept, k)
		}
	}
	s.keys = kept
}

// Requests returns the requests so far, the first [Config.Keep] of them.
func (s *Service) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Stats returns the counts so far.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Service) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

func (s *Service) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Requests++
	if r.Status == 200 {
		s.stats.Accepted++
	}
	if len(s.requests) < s.config.Keep {
		s.requests = append(s.requests, r)
	}
}
