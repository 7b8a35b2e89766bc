// SPDX-License-Identifier: Apache-2.0

package smsgateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

// Config says what a service knows.
type Config struct {
	// Authority vouches for the service and for the receivers of receipts. Required.
	Authority *loopback.Authority
	// Now is the clock. Required.
	Now func() time.Time
	// User and Password, Bearer, and Key (in X-Api-Key) are what callers show; one is enough, and without any nobody has to.
	User, Password, Bearer, Key string
	// Secret is what requests are signed with: X-Signature is "sha256=" and the hexadecimal HMAC-SHA256 over the seconds in
	// X-Timestamp, a dot and the body. Without it nothing is signed. Receipts are signed alike.
	Secret string
	// Bad are numbers that are refused, by the word for it.
	Bad map[string]string
}

// Message is one that was taken.
type Message struct {
	ID, To, From, Text, Reference string
	TTL                           int
}

// Service answers on a port of its own. It is safe for concurrent use.
type Service struct {
	*served.Server
	// Inbox is what was delivered; it is served at /inbox/{number} as well.
	Inbox loopback.Inbox

	config    Config
	transport *http.Transport

	mu       sync.Mutex
	messages []Message
}

// Start listens and answers until [Service.Close].
func Start(c Config) (*Service, error) {
	s := &Service{config: c}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /json", s.taking(readJSON))
	mux.HandleFunc("POST /form", s.taking(readForm))
	mux.HandleFunc("GET /get", s.taking(readQuery))
	var err error
	if s.Server, err = served.Start(served.Config{Authority: c.Authority, Now: c.Now, Handler: mux, Inbox: &s.Inbox}); err != nil {
		return nil, err
	}
	s.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.Authority.Pool(), MinVersion: tls.VersionTLS12}}
	return s, nil
}

// Close hangs up and waits for what is under way.
func (s *Service) Close() error {
	s.transport.CloseIdleConnections()
	return s.Server.Close()
}

// Messages returns what was taken so far.
func (s *Service) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

func (s *Service) taking(read func(r *http.Request, body []byte) (Message, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
			answer(w, 400, map[string]any{"error": map[string]string{"code": "broken"}})
		case !s.knows(r):
			answer(w, 401, map[string]any{"error": map[string]string{"code": "unauthorized"}})
		case s.config.Secret != "" && !s.signed(r.Header, body):
			answer(w, 403, map[string]any{"error": map[string]string{"code": "signature"}})
		default:
			s.take(w, r, body, read)
		}
	}
}

func (s *Service) knows(r *http.Request) bool {
	c := s.config
	user, password, basic := r.BasicAuth()
	switch {
	case c.User == "" && c.Bearer == "" && c.Key == "":
		return true
	case basic:
		return c.User != "" && user == c.User && password == c.Password
	case c.Bearer != "" && r.Header.Get("Authorization") == "Bearer "+c.Bearer:
		return true
	}
	return c.Key != "" && r.Header.Get("X-Api-Key") == c.Key
}

func (s *Service) signed(header http.Header, body []byte) bool {
	at := header.Get("X-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	return err == nil && s.config.Now().Sub(time.Unix(seconds, 0)).Abs() < time.Minute && header.Get("X-Signature") == s.Sign(at, body)
}

// Sign returns what stands in X-Signature.
func (s *Service) Sign(at string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(s.config.Secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", at, body) // it never fails
	return fmt.Sprintf("sha256=%x", mac.Sum(nil))
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (s *Service) take(w http.ResponseWriter, r *http.Request, body []byte, read func(*http.Request, []byte) (Message, error)) {
	m, err := read(r, body)
	if err != nil || m.Text == "" || m.TTL < 1 {
		answer(w, 400, map[string]any{"error": map[string]string{"code": "malformed"}})
		return
	}
	m.To = "+" + strings.TrimPrefix(strings.TrimPrefix(m.To, "+"), "00")
	if word, bad := s.config.Bad[m.To]; bad || !e164.MatchString(m.To) {
		answer(w, 422, map[string]any{"error": map[string]string{"code": cmp.Or(word, "invalid_number")}})
		return
	}
	m = s.keep(m)
	answer(w, 202, map[string]any{"messages": []any{map[string]any{"id": m.ID, "status": "accepted"}}})
}

// keep takes a message once, however often it comes.
func (s *Service) keep(m Message) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.messages {
		if m.Reference != "" && known.Reference == m.Reference {
			return known
		}
	}
	var id [12]byte
	_, _ = rand.Read(id[:]) // it never fails
	m.ID = hex.EncodeToString(id[:])
	s.messages = append(s.messages, m)
	payload, err := json.Marshal(map[string]string{"id": m.ID, "from": m.From, "text": m.Text})
	if err == nil {
		s.Inbox.Put(loopback.Notice{Service: "smsgateway", Address: m.To, At: s.config.Now(), Headers: map[string]string{}, Payload: payload})
	}
	return m
}

func readJSON(r *http.Request, body []byte) (Message, error) {
	var sent struct {
		To, From, Text, Reference string
		TTL                       int
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" {
		return Message{}, fmt.Errorf("the type is %q", r.Header.Get("Content-Type"))
	}
	if err := d.Decode(&sent); err != nil || d.More() {
		return Message{}, fmt.Errorf("no message: %w", err)
	}
	return Message{To: sent.To, From: sent.From, Text: sent.Text, Reference: sent.Reference, TTL: sent.TTL}, nil
}

func readForm(r *http.Request, body []byte) (Message, error) {
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return Message{}, fmt.Errorf("the type is %q", r.Header.Get("Content-Type"))
	}
	return readValues(string(body))
}

func readQuery(r *http.Request, body []byte) (Message, error) {
	if len(body) > 0 {
		return Message{}, fmt.Errorf("a body of %d bytes", len(body))
	}
	return readValues(r.URL.RawQuery)
}

func readValues(text string) (Message, error) {
	form, err := url.ParseQuery(text)
	if err != nil {
		return Message{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if len(form[name]) != 1 || !slices.Contains([]string{"to", "from", "text", "reference", "ttl"}, name) {
			return Message{}, fmt.Errorf("the parameter %q", name)
		}
	}
	ttl, err := strconv.Atoi(form.Get("ttl"))
	return Message{To: form.Get("to"), From: form.Get("from"), Text: form.Get("text"), Reference: form.Get("reference"), TTL: ttl}, err
}

// Receipt is one call to a receiver.
type Receipt struct {
	// To is where it goes, Body what it says, as JSON unless Type says otherwise.
	To, Body, Type string
	// At is when it is signed; now unless it is said.
	At time.Time
	// Signature is sent instead of the right one.
	Signature string
}

// Call makes a call and returns the status of the answer.
func (s *Service) Call(ctx context.Context, c Receipt) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.To, strings.NewReader(c.Body))
	if err != nil {
		return 0, fmt.Errorf("telling: %w", err)
	}
	if c.At.IsZero() {
		c.At = s.config.Now()
	}
	at := strconv.FormatInt(c.At.Unix(), 10)
	if c.Type == "" {
		c.Type = "application/json"
	}
	if c.Signature == "" {
		c.Signature = s.Sign(at, []byte(c.Body))
	}
	r.Header.Set("Content-Type", c.Type)
	r.Header.Set("X-Timestamp", at)
	r.Header.Set("X-Signature", c.Signature)
	response, err := s.transport.RoundTrip(r)
	if err != nil {
		return 0, fmt.Errorf("telling: %w", err)
	}
	return response.StatusCode, response.Body.Close()
}

func answer(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what) // who is gone hears nothing
}
