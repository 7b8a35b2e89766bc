// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

// Config says what a service knows.
type Config struct {
	// Authority vouches for the service and for the receivers of callbacks. Required.
	Authority *loopback.Authority
	// Now is the clock. Required.
	Now func() time.Time
	// AccountSID and AuthToken are the one account there is.
	AccountSID, AuthToken string
	// Keys are the secrets of API keys, by their SIDs.
	Keys map[string]string
	// Senders are the numbers and names that the account may send from, Services its messaging services.
	Senders, Services []string
	// Calling are the calling codes that are enabled, "31"; all where there are none.
	Calling []string
	// Stopped are numbers whose owners want nothing, Landlines those that are none of mobile telephones.
	Stopped, Landlines []string
	// Redaction says that the account may have texts discarded and numbers obfuscated.
	Redaction bool
	// Deliver has every message be delivered at once, and told so: "queued", "sent", "delivered".
	Deliver bool
}

// Message is one that was taken.
type Message struct {
	SID                 string
	To, From, Body      string
	MessagingServiceSid string
	ValidityPeriod      time.Duration
	StatusCallback      string
	Redact              bool
	Segments            int
}

// Service answers on a port of its own. It is safe for concurrent use.
type Service struct {
	*served.Server
	// Inbox is what was delivered; it is served at /inbox/{number} as well.
	Inbox loopback.Inbox

	config    Config
	transport *http.Transport
	ctx       context.Context //nolint:containedctx // it ends with the service
	cancel    context.CancelFunc
	group     sync.WaitGroup

	mu       sync.Mutex
	messages []Message
}

// Start listens and answers until [Service.Close].
func Start(c Config) (*Service, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{config: c, ctx: ctx, cancel: cancel}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2010-04-01/Accounts/{account}/{resource}", s.create)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, 404, 20404, "The requested resource "+r.URL.Path+" was not found")
	})
	var err error
	if s.Server, err = served.Start(served.Config{Authority: c.Authority, Now: c.Now, Handler: mux, Inbox: &s.Inbox}); err != nil {
		cancel()
		return nil, err
	}
	s.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.Authority.Pool(), MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	return s, nil
}

// Close hangs up and waits for what is under way.
func (s *Service) Close() error {
	s.cancel()
	err := s.Server.Close()
	s.group.Wait()
	s.transport.CloseIdleConnections()
	return err
}

// Messages returns what was taken so far.
func (s *Service) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

func (s *Service) create(w http.ResponseWriter, r *http.Request) {
	user, password, ok := r.BasicAuth()
	if !ok || !s.knows(user, password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
		refuse(w, 401, 20003, "Authenticate")
		return
	}
	if r.PathValue("account") != s.config.AccountSID || r.PathValue("resource") != "Messages.json" {
		refuse(w, 404, 20404, "The requested resource "+r.URL.Path+" was not found")
		return
	}
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.ParseForm() != nil {
		refuse(w, 400, 20001, "The request is not a form")
		return
	}
	m, fault := s.read(r.PostForm)
	if fault != nil {
		refuse(w, 400, fault.code, fault.text)
		return
	}
	s.keep(m)
	answer(w, 201, s.told(m))
	if s.config.Deliver {
		s.group.Go(func() { s.deliver(m) })
	}
}

func (s *Service) knows(user, password string) bool {
	if user == s.config.AccountSID {
		return password == s.config.AuthToken
	}
	secret, ok := s.config.Keys[user]
	return ok && password == secret
}

func (s *Service) keep(m Message) {
	s.mu.Lock()
	s.messages = append(s.messages, m)
	s.mu.Unlock()
	payload, err := json.Marshal(map[string]string{"sid": m.SID, "from": m.From, "body": m.Body})
	if err != nil {
		return // texts are JSON
	}
	s.Inbox.Put(loopback.Notice{Service: "twilio", Address: m.To, At: s.config.Now(), Headers: map[string]string{}, Payload: payload})
}

// deliver tells of a message as of one that arrives at once.
func (s *Service) deliver(m Message) {
	for _, status := range []string{"queued", "sent", "delivered"} {
		if m.StatusCallback == "" {
			return
		}
		if _, err := s.Call(s.ctx, Callback{SID: m.SID, Status: status}); err != nil {
			return // who does not listen is not told again
		}
	}
}

// told is the resource as Twilio shows it.
func (s *Service) told(m Message) map[string]any {
	status := "queued"
	if m.MessagingServiceSid != "" {
		status = "accepted"
	}
	var from, service any
	if m.From != "" {
		from = m.From
	}
	if m.MessagingServiceSid != "" {
		service = m.MessagingServiceSid
	}
	now := s.config.Now().UTC().Format(time.RFC1123Z)
	return map[string]any{
		"sid": m.SID, "account_sid": s.config.AccountSID, "api_version": "2010-04-01", "to": m.To, "from": from, "body": m.Body,
		"status": status, "direction": "outbound-api", "num_segments": fmtInt(m.Segments), "num_media": "0", "error_code": nil,
		"error_message": nil, "price": nil, "price_unit": "USD", "date_created": now, "date_updated": now, "date_sent": nil,
		"messaging_service_sid": service, "uri": "/2010-04-01/Accounts/" + s.config.AccountSID + "/Messages/" + m.SID + ".json",
		"subresource_uris": map[string]string{"media": "/2010-04-01/Accounts/" + s.config.AccountSID + "/Messages/" + m.SID + "/Media.json"},
	}
}

// NewSID draws a SID of a message.
func NewSID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	return "SM" + hex.EncodeToString(id[:])
}

func refuse(w http.ResponseWriter, status, code int, text string) {
	answer(w, status, map[string]any{
		"code": code, "message": text, "more_info": "https://www.twilio.com/docs/errors/" + fmtInt(code), "status": status,
	})
}

func answer(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what) // who is gone hears nothing
}

// absolute reports whether a text is an address that Twilio calls.
func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.Contains(u.Host, "_") && len(text) <= 4000
}
