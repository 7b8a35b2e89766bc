// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

// Config says what a service knows.
type Config struct {
	// Authority vouches for the service. Required.
	Authority *loopback.Authority
	// Now judges tokens. Required.
	Now func() time.Time
	// MaxTTL is how long it keeps a message: longer times to live are lowered, and the answer says so. Default: four weeks.
	MaxTTL time.Duration
}

// Message is one that was accepted.
type Message struct {
	Endpoint       string
	Payload        []byte // decrypted, without padding; nothing where the phone alone has the keys
	Sealed         []byte // as it came
	Padding        int    // how many zeros there were
	TTL            time.Duration
	Urgency, Topic string
	Key            string // the VAPID key that was shown
	Token          string
}

// Subscription is what a browser has.
type Subscription struct {
	Endpoint string
	// JSON is what the page gets: the address of a phone. There is none where the phone has the keys.
	JSON string

	private *ecdh.PrivateKey // nil where the phone has the keys
	auth    []byte
	key     string
	gone    bool
}

// Service answers on a port of its own. It is safe for concurrent use.
type Service struct {
	*served.Server
	// Inbox is what was delivered; it is served at /inbox/{address} as well.
	Inbox loopback.Inbox

	config Config

	mu            sync.Mutex
	subscriptions map[string]*Subscription // by the path of the endpoint
	messages      []Message
}

// Start listens and answers until Close.
func Start(c Config) (*Service, error) {
	if c.MaxTTL == 0 {
		c.MaxTTL = 28 * 24 * time.Hour
	}
	s := &Service{config: c, subscriptions: map[string]*Subscription{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /subscribe", s.subscribe)
	mux.HandleFunc("POST /endpoint", s.endpoint)
	mux.HandleFunc("POST /push/{id}", s.push)
	var err error
	if s.Server, err = served.Start(served.Config{Authority: c.Authority, Now: c.Now, Handler: mux, Inbox: &s.Inbox}); err != nil {
		return nil, err
	}
	return s, nil
}

var b64 = base64.RawURLEncoding

// Subscribe makes a subscription, as a browser does; with a key, it is bound to it for life.
func (s *Service) Subscribe(key string) (*Subscription, error) {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("drawing the browser's key: %w", err)
	}
	path, made := s.draw(key)
	made.private, made.auth = private, make([]byte, 16)
	_, _ = rand.Read(made.auth) // it never fails
	text, err := json.Marshal(map[string]any{
		"endpoint": made.Endpoint, "expirationTime": nil,
		"keys": map[string]string{"p256dh": b64.EncodeToString(private.PublicKey().Bytes()), "auth": b64.EncodeToString(made.auth)},
	})
	if err != nil {
		return nil, fmt.Errorf("writing a subscription: %w", err)
	}
	made.JSON = string(text)
	s.add(path, made) // whole, since whoever knows the endpoint may send at once
	return made, nil
}

// Endpoint makes a subscription for a phone that has keys of its own: what arrives there, this service cannot read.
func (s *Service) Endpoint(key string) *Subscription {
	path, made := s.draw(key)
	s.add(path, made)
	return made
}

// draw returns a subscription that nothing arrives at yet, and where it is to be.
func (s *Service) draw(key string) (path string, made *Subscription) {
	drawn := make([]byte, 16)
	_, _ = rand.Read(drawn) // it never fails
	path = "/push/" + b64.EncodeToString(drawn)
	return path, &Subscription{Endpoint: s.URL + path, key: key}
}

func (s *Service) add(path string, made *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions[path] = made
}

// Unsubscribe ends a subscription: its endpoint is gone.
func (s *Service) Unsubscribe(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.gone = true
}

// Messages returns what was accepted so far.
func (s *Service) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

func (s *Service) subscribe(w http.ResponseWriter, r *http.Request) {
	made, err := s.Subscribe(r.FormValue("key"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(made.JSON)) // who is gone has no subscription
}

func (s *Service) endpoint(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"endpoint": s.Endpoint(r.FormValue("key")).Endpoint}) // likewise
}

// refusal is an answer that accepts nothing.
type refusal struct {
	status int
	reason string
}

func (e *refusal) Error() string { return e.reason }

func (s *Service) push(w http.ResponseWriter, r *http.Request) {
	m, sub, err := s.accept(r)
	if err != nil {
		var refused *refusal
		if !errors.As(err, &refused) {
			refused = &refusal{http.StatusBadRequest, err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(refused.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"reason": refused.reason}) // who is gone hears nothing
		return
	}
	if m.TTL > s.config.MaxTTL {
		m.TTL = s.config.MaxTTL
	}
	s.keep(m, sub)
	w.Header().Set("Location", s.URL+"/message/"+b64.EncodeToString(m.Sealed[:8]))
	w.Header().Set("TTL", strconv.FormatInt(int64(m.TTL/time.Second), 10))
	w.WriteHeader(http.StatusCreated)
}

func (s *Service) keep(m Message, sub *Subscription) {
	s.mu.Lock()
	s.messages = append(s.messages, m)
	s.mu.Unlock()
	n := loopback.Notice{
		Service: "webpush", At: s.config.Now(), Payload: m.Payload,
		Headers: map[string]string{"ttl": strconv.FormatInt(int64(m.TTL/time.Second), 10), "urgency": m.Urgency, "topic": m.Topic},
	}
	if sub.private == nil {
		s.sealed(n, m, sub)
		return
	}
	var said struct {
		Op string `json:"op"`
	}
	if json.Unmarshal(m.Payload, &said) != nil {
		n.Payload = nil // what is no JSON cannot stand in a notice
	}
	n.Operation = said.Op
	for _, n.Address = range []string{sub.JSON, sub.Endpoint} {
		s.Inbox.Put(n)
	}
}

// sealed delivers what only the phone can read: as a string of base64url, since that is no JSON.
func (s *Service) sealed(n loopback.Notice, m Message, sub *Subscription) {
	n.Address, n.Headers["content-encoding"] = sub.Endpoint, "aes128gcm"
	n.Payload = json.RawMessage(`"` + b64.EncodeToString(m.Sealed) + `"`)
	s.Inbox.Put(n)
}
