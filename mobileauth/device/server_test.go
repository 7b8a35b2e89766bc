// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

const maxTries = 3

// server is a small server of the protocol: one registration, one device, what was asked of it.
type server struct {
	tb  testing.TB
	url string

	mu       sync.Mutex
	now      time.Time
	sign     jose.PrivateKey
	enc      []jose.DecryptionKey // the first is announced, the others still open
	code     envelope.ActivationCode
	unique   bool // every enrolment gets a server key of its own
	pgp      bool // bodies are wrapped once more, under keys called "phone" and "server"
	clear    bool // but answers are not
	empty    bool // answers say nothing
	early    bool // the answer to new keys is encrypted to them
	refuse   envelope.Code
	broken   func(w http.ResponseWriter, path string) bool // answers in the place of the server
	lose     map[string]int                                // answers to lose, by path, after the request had its effect
	seen     map[string]bool                               // IDs of requests
	requests []envelope.Request

	device    envelope.PublicKeys
	devicePGP []byte
	status    string
	factors   map[string]envelope.Secret
	setBy     map[string]string
	failed    int
	push      *envelope.PushAddress
	digits    string
	display   map[string][]byte
	scans     map[string]string // operations by what a phone scans
	mixUp     string            // the operation whose bytes are sent instead
	numbers   map[string]string
	answers   []envelope.Statement
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{
		tb: t, now: noon, factors: make(map[string]envelope.Secret), setBy: make(map[string]string), seen: make(map[string]bool),
		lose: make(map[string]int), display: make(map[string][]byte), numbers: make(map[string]string),
	}
	s.rotate()
	var err error
	if s.code, err = envelope.NewActivationCode(); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

// rotate makes new keys for signatures and encryption; old ones still decrypt.
func (s *server) rotate() {
	var err error
	if s.sign, err = jose.GenerateKey(jose.ES256); err != nil {
		s.tb.Error(err)
	}
	k, err := jose.GenerateDecryption()
	if err != nil {
		s.tb.Error(err)
	}
	s.enc = append([]jose.DecryptionKey{k}, s.enc...)
}

func (s *server) keys() envelope.ServerKeys {
	sign, err := envelope.SignKeyOf(s.sign.Public())
	if err != nil {
		s.tb.Error(err)
	}
	enc, err := envelope.EncKeyOf(s.enc[0].Public())
	if err != nil {
		s.tb.Error(err)
	}
	return envelope.ServerKeys{Sign: []envelope.SignKey{sign}, Enc: []envelope.EncKey{enc}}
}

func (s *server) invitation() envelope.Invitation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return envelope.Invitation{Issuer: s.url, Operation: "op_reg", Code: s.code, Key: s.enc[0].KID}
}

// ask puts an operation up and returns its name.
func (s *server) ask(d envelope.Display, number string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Operation = fmt.Sprintf("op_%d", len(s.display)+1)
	if d.Kind == "" {
		d.Kind, d.Title = "authorisation", "Pay"
	}
	d.NumberMatch = len(number)
	raw, err := d.Encode()
	if err != nil {
		s.tb.Error(err)
	}
	s.display[d.Operation], s.numbers[d.Operation] = raw, number
	return d.Operation
}

// claims returns which operation's bytes a claim is answered with.
func (s *server) claims(operation string) string {
	if s.mixUp != "" {
		return s.mixUp
	}
	return operation
}

// do runs something while no request is served.
func (s *server) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil && s.broken(w, r.URL.Path) {
		return
	}
	if r.URL.Path == "/jwks" {
		s.writeKeys(w)
		return
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != envelope.ContentType {
		s.refuseMessage(w)
		return
	}
	unverified, err := envelope.OpenRequest(string(raw), envelope.Expected{Issuer: s.url, Path: r.URL.Path, Now: s.now, Key: s.decryption})
	if err != nil {
		s.refuseMessage(w)
		return
	}
	var request envelope.Request
	var body any
	code, to := envelope.CodeOK, s.device.Enc
	if r.URL.Path == envelope.PathRegistrations {
		request, body, code, err = s.register(unverified)
	} else if request, err = unverified.Verify("dev_1", s.device.Sign); err == nil && !s.seen[request.ID] && s.status != "deactivated" {
		body, code, err = s.serveWrapped(request)
	} else {
		err = envelope.ErrRefused
	}
	if err != nil || s.seen[request.ID] {
		s.refuseMessage(w)
		return
	}
	s.seen[request.ID] = true
	s.requests = append(s.requests, request)
	if to.ID() == "" || s.early {
		to = s.device.Enc
	}
	s.reply(w, request, body, code, to)
}

func (s *server) decryption(kid string) (jose.DecryptionKey, bool) {
	i := slices.IndexFunc(s.enc, func(k jose.DecryptionKey) bool { return k.KID == kid })
	if i < 0 {
		return jose.DecryptionKey{}, false
	}
	return s.enc[i], true
}

func (s *server) writeKeys(w http.ResponseWriter) {
	data, err := json.Marshal(s.keys())
	if err != nil {
		s.tb.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

func (s *server) refuseMessage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `{"type":"about:blank","title":"The message was refused","status":400,"code":"message_refused","time":%d}`, s.now.Unix())
}

func (s *server) reply(w http.ResponseWriter, request envelope.Request, body any, code envelope.Code, to envelope.EncKey) {
	if s.lose[request.Path] > 0 {
		s.lose[request.Path]--
		panic(http.ErrAbortHandler)
	}
	answer := request.Reply(s.now, s.keys())
	answer.Code = code
	if s.empty {
		body = nil
	}
	raw, err := envelope.SealAnswer(answer, body, s.sign, to)
	if err != nil {
		s.tb.Error(err)
	}
	w.Header().Set("Content-Type", envelope.ContentType)
	_, _ = io.WriteString(w, raw)
}

func (s *server) register(u envelope.Unverified) (envelope.Request, any, envelope.Code, error) {
	request, r, err := u.Registration()
	if err != nil || r.Lookup != s.code.Lookup() || !s.code.Proves(r, request) {
		return envelope.Request{}, nil, "", envelope.ErrRefused
	}
	if s.refuse != "" {
		s.device = r.Keys
		return request, nil, s.refuse, nil
	}
	if s.unique {
		s.rotate()
	}
	s.device, s.status, s.push = r.Keys, "pending", r.Push
	for kind, secret := range r.Factors {
		s.factors[kind], s.setBy[kind] = secret, request.ID
	}
	s.digits = envelope.Digits("op_reg", r.Keys, request.ServerKey, request.ID)
	answer := envelope.RegistrationAnswer{Device: "dev_1", Operation: "op_reg", Status: s.status, Policy: policy}
	if s.pgp {
		s.devicePGP, answer.PGP = r.PGP, []byte("server")
	}
	return request, answer, envelope.CodeOK, nil
}

var policy = envelope.Policy{PIN: envelope.PINPolicy{Required: true, MinLength: 6, MaxAttempts: maxTries}, Biometric: true, Confirmation: "digits"}

// serveWrapped unwraps the body of a request and wraps that of its answer, where that is the mode.
func (s *server) serveWrapped(r envelope.Request) (any, envelope.Code, error) {
	if !s.pgp {
		return s.serve(r)
	}
	var in wrapped
	if err := r.Decode(&in); err != nil {
		return nil, "", err
	}
	text := strings.TrimPrefix(string(turn(in.PGP)), "to server:")
	r.Body = json.RawMessage(text)
	body, code, err := s.serve(r)
	if err != nil || s.clear {
		return body, code, err
	}
	if body == nil {
		body = struct{}{}
	}
	out, err := json.Marshal(body)
	return wrapped{PGP: turn(append([]byte("from server:"), out...))}, code, err
}

type wrapped struct {
	PGP envelope.Bytes `json:"pgp"`
}

func (s *server) serve(r envelope.Request) (any, envelope.Code, error) {
	if s.refuse != "" {
		return nil, s.refuse, nil
	}
	switch r.Path {
	case envelope.PathPending:
		list := envelope.PendingAnswer{}
		for id := range s.display {
			list.Operations = append(list.Operations, envelope.Summary{Operation: id, Kind: "authorisation"})
		}
		return list, envelope.CodeOK, nil
	case envelope.PathFetch:
		var body envelope.FetchRequest
		if err := r.Decode(&body); err != nil {
			return nil, "", err
		}
		shown, ok := s.display[body.Operation]
		if !ok {
			return nil, envelope.CodeGone, nil
		}
		return envelope.FetchAnswer{Display: shown}, envelope.CodeOK, nil
	case envelope.PathClaim:
		var body envelope.ClaimRequest
		if err := r.Decode(&body); err != nil {
			return nil, "", err
		}
		operation, ok := s.scans[body.OTP]
		if !ok {
			return nil, envelope.CodeGone, nil
		}
		return envelope.ClaimAnswer{Operation: operation, Display: s.display[s.claims(operation)]}, envelope.CodeOK, nil
	case envelope.PathDevice:
		answer := envelope.DeviceAnswer{Device: "dev_1", Status: s.status, Policy: policy, Factors: []envelope.FactorInfo{}}
		for kind := range s.factors {
			answer.Factors = append(answer.Factors, envelope.FactorInfo{Kind: kind, SetBy: s.setBy[kind]})
		}
		return answer, envelope.CodeOK, nil
	case envelope.PathPush:
		var body envelope.PushRequest
		err := r.Decode(&body)
		s.push = body.Push
		return nil, envelope.CodeOK, err
	default:
		return s.stated(r)
	}
}

var purposes = map[string]envelope.Purpose{
	envelope.PathAnswer: envelope.PurposeApproval, envelope.PathFactor: envelope.PurposeFactor, envelope.PathKeys: envelope.PurposeKeys,
	envelope.PathTransfer: envelope.PurposeTransfer, envelope.PathDisconnect: envelope.PurposeDisconnect, envelope.PathRelease: envelope.PurposeDevice,
}

func (s *server) stated(r envelope.Request) (any, envelope.Code, error) {
	var body envelope.Stated
	if err := r.Decode(&body); err != nil {
		return nil, "", err
	}
	statement, err := body.Open(s.device.Sign, r, purposes[r.Path], s.now)
	if err != nil {
		return nil, "", err
	}
	for kind, mac := range body.Factors {
		if !statement.Proven(s.factors[kind], mac) {
			s.failed++
			left := maxTries - s.failed
			if left == 0 {
				s.status = "deactivated"
			}
			return envelope.Refused{Remaining: &left}, envelope.CodeRefused, nil
		}
	}
	s.failed = 0
	switch statement.Purpose {
	case envelope.PurposeApproval:
		return s.answer(statement)
	case envelope.PurposeFactor:
		delete(s.factors, statement.Kind)
		if body.Secret != nil {
			s.factors[statement.Kind], s.setBy[statement.Kind] = *body.Secret, statement.ID
		}
	case envelope.PurposeKeys:
		if statement.Keys.Sign.ID() == s.device.Sign.ID() {
			return nil, envelope.CodeNotAllowed, nil
		}
		s.device = *statement.Keys
	case envelope.PurposeTransfer:
		return envelope.TransferAnswer{Invitation: envelope.Invitation{Issuer: s.url, Operation: "op_2", Code: s.code, Key: s.enc[0].KID}.Text()}, envelope.CodeOK, nil
	case envelope.PurposeDisconnect:
		s.status = "deactivated"
	}
	s.answers = append(s.answers, statement)
	return nil, envelope.CodeOK, nil
}

func (s *server) answer(statement envelope.Statement) (any, envelope.Code, error) {
	shown, ok := s.display[statement.Operation]
	switch {
	case !ok && slices.ContainsFunc(s.answers, func(a envelope.Statement) bool { return a.Raw() == statement.Raw() }):
		return nil, envelope.CodeOK, nil
	case !ok:
		return nil, envelope.CodeGone, nil
	case statement.DisplayHash != envelope.DisplayHash(shown):
		return nil, envelope.CodeNotAllowed, nil
	case statement.Decision == envelope.Approve && statement.Number != s.numbers[statement.Operation]:
		return nil, envelope.CodeRefused, nil
	}
	delete(s.display, statement.Operation)
	s.answers = append(s.answers, statement)
	return nil, envelope.CodeOK, nil
}
