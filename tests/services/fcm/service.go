// SPDX-License-Identifier: Apache-2.0

package fcm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

// tokenLife is what Google gives, in seconds.
const tokenLife = 3599

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// Config says what a service knows.
type Config struct {
	// Authority vouches for the service. Required.
	Authority *loopback.Authority
	// Now judges access tokens. Required.
	Now func() time.Time
	// AssertedAt judges assertions. Default: the computer's clock, which is what libraries date them by.
	AssertedAt func() time.Time
	// Project is the Firebase project. Required.
	Project string
	// Open has every registration token that nothing was said of lead to whatever app is asked for.
	Open bool
	// TokenLife is how long an access token is good, in seconds. Default: 3599.
	TokenLife int
}

// state is what is known of a registration token.
type state struct {
	app, code string // code is what is answered instead of delivering
}

// Service answers on two ports of its own. It is safe for concurrent use.
type Service struct {
	// URL is the base of the service that delivers.
	URL string
	// Messages and Tokens are its two servers, with their scripts and what they were asked.
	Messages, Tokens *served.Server
	// Inbox is what was delivered; it is served at /inbox/{registration token} as well.
	Inbox loopback.Inbox

	config  Config
	account *account

	mu      sync.Mutex
	revoked bool
	granted map[string]time.Time
	apps    map[string]state
	seen    int
}

// Start listens and answers until [Service.Close].
func Start(c Config) (*Service, error) {
	if c.Project == "" || c.Now == nil {
		return nil, errors.New("a project and a clock are required")
	}
	if c.AssertedAt == nil {
		c.AssertedAt = time.Now
	}
	if c.TokenLife == 0 {
		c.TokenLife = tokenLife
	}
	a, err := newAccount(c.Project)
	if err != nil {
		return nil, err
	}
	s := &Service{config: c, account: a, granted: map[string]time.Time{}, apps: map[string]state{}}
	messages, tokens := http.NewServeMux(), http.NewServeMux()
	messages.HandleFunc("POST /v1/projects/{project}/{verb}", s.send)
	tokens.HandleFunc("POST /token", s.grant)
	if s.Messages, err = served.Start(served.Config{Authority: c.Authority, Now: c.Now, Handler: messages, Inbox: &s.Inbox}); err != nil {
		return nil, err
	}
	if s.Tokens, err = served.Start(served.Config{Authority: c.Authority, Now: c.Now, Handler: tokens}); err != nil {
		return nil, errors.Join(err, s.Messages.Close())
	}
	s.URL = s.Messages.URL
	return s, nil
}

// Close hangs up and waits for what is under way.
func (s *Service) Close() error { return errors.Join(s.Messages.Close(), s.Tokens.Close()) }

// Account returns the file of the service account.
func (s *Service) Account() ([]byte, error) { return s.account.file(s.tokenURI()) }

// TokenHost is the host and port of the token endpoint.
func (s *Service) TokenHost() string { return strings.TrimPrefix(s.Tokens.URL, "https://") }

func (s *Service) tokenURI() string { return s.Tokens.URL + "/token" }

// Register has a registration token lead to an app, as an installation does.
func (s *Service) Register(token, app string) { s.put(token, state{app: app}) }

// Unregister has it lead nowhere, as removing the app does.
func (s *Service) Unregister(token string) { s.put(token, state{code: "UNREGISTERED"}) }

// Disown has it belong to another project.
func (s *Service) Disown(token string) { s.put(token, state{code: "SENDER_ID_MISMATCH"}) }

func (s *Service) put(token string, st state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[token] = st
}

// Revoke deletes the key of the service account. Tokens that were given go on until they end.
func (s *Service) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = true
}

// Withdraw ends all access tokens that were given.
func (s *Service) Withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.granted)
}

// Accepted counts messages that were taken.
func (s *Service) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// grant exchanges an assertion for an access token (RFC 7523, section 2.1).
func (s *Service) grant(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != jwtBearer {
		refuseToken(w, "unsupported_grant_type", "Invalid grant_type")
		return
	}
	s.mu.Lock()
	revoked := s.revoked
	s.mu.Unlock()
	wrong := s.account.verify(r.PostForm.Get("assertion"), s.tokenURI(), s.config.AssertedAt())
	if wrong.word == "" && revoked {
		wrong = refusal{"invalid_grant", "Invalid JWT Signature."}
	}
	if wrong.word != "" {
		refuseToken(w, wrong.word, wrong.text)
		return
	}
	token := "ya29." + randid.Secret()
	s.mu.Lock()
	s.granted[token] = s.config.Now().Add(time.Duration(s.config.TokenLife) * time.Second)
	s.mu.Unlock()
	write(w, http.StatusOK, map[string]any{"access_token": token, "expires_in": s.config.TokenLife, "token_type": "Bearer"})
}

func refuseToken(w http.ResponseWriter, word, text string) {
	write(w, http.StatusBadRequest, map[string]string{"error": word, "error_description": text})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who is gone hears nothing
}

// known reports whether a request has a token that is good.
func (s *Service) known(r *http.Request) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.granted[token]
	return ok && s.config.Now().Before(until)
}

// send takes one message.
func (s *Service) send(w http.ResponseWriter, r *http.Request) {
	project, err := url.PathUnescape(r.PathValue("project"))
	switch {
	case err != nil || r.PathValue("verb") != "messages:send":
		fault{http.StatusNotFound, "NOT_FOUND", "", nil}.write(w)
		return
	case !s.known(r):
		fault{http.StatusUnauthorized, "UNAUTHENTICATED", "", nil}.write(w)
		return
	case project != s.config.Project:
		fault{http.StatusNotFound, "NOT_FOUND", "", nil}.write(w)
		return
	}
	m, wrong := read(r)
	if wrong != nil {
		wrong.write(w)
		return
	}
	s.mu.Lock()
	st, registered := s.apps[m.Token]
	s.mu.Unlock()
	switch {
	case !registered && s.config.Open:
		st.app = m.Android.Package
	case !registered:
		st.code = "INVALID_ARGUMENT"
	}
	if wrong := faultOf(st.code); wrong != nil {
		wrong.write(w)
		return
	}
	s.take(w, m, st)
}

func (s *Service) take(w http.ResponseWriter, m *message, st state) {
	s.mu.Lock()
	s.seen++
	n := s.seen
	s.mu.Unlock()
	if restricted := m.Android.Package; !m.dry && (restricted == "" || restricted == st.app) {
		s.Inbox.Put(loopback.Notice{
			Service: "fcm", Address: m.Token, Operation: m.Data["op"], At: s.config.Now(), Payload: m.raw,
			Headers: map[string]string{"priority": m.Android.Priority, "ttl": m.Android.TTL},
		})
	}
	write(w, http.StatusOK, map[string]string{"name": fmt.Sprintf("projects/%s/messages/0:%d", s.config.Project, n)})
}
