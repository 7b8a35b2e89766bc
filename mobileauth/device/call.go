// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// parties is who speaks to whom in one call.
type parties struct {
	issuer, device string
	keys           envelope.Keys
	also           []envelope.Keys // other keys that the answer may be encrypted to
	server         envelope.ServerKeys
	pgp            []byte // the server's OpenPGP key, nil where bodies are in clear inside the envelope
	skew           int64  // seconds
}

// build makes the body for one attempt: what is signed in it carries the time and the ID of the attempt.
type build func(r envelope.Request, keys envelope.Keys) (any, error)

// plain is a body that depends on nothing.
func plain(body any) build {
	return func(envelope.Request, envelope.Keys) (any, error) { return body, nil }
}

// reply is an answer, with what the attempt that it answers knew.
type reply struct {
	envelope.Answer
	request   envelope.Request
	serverKey string
	skew      int64
}

// send makes an attempt, and a second one by the server's clock when the first one was outside the server's window. The time the
// server gives in a refusal is not signed: it decides what this device writes into its own messages, and no more.
func (c Config) send(ctx context.Context, p parties, path string, body build) (reply, error) {
	r, err := c.attempt(ctx, p, path, body)
	var refused *messageError
	if !errors.As(err, &refused) || refused.time == 0 {
		return r, err
	}
	skew := refused.time - c.Now().Unix()
	if off := skew - p.skew; off >= -windowSeconds && off <= windowSeconds {
		return r, err
	}
	p.skew = skew
	return c.attempt(ctx, p, path, body)
}

// maxKeys is the largest key set that is read, in bytes.
const maxKeys = 256 << 10

const windowSeconds = int64(envelope.Window / time.Second)

func (c Config) attempt(ctx context.Context, p parties, path string, body build) (reply, error) {
	if len(p.server.Enc) == 0 {
		return reply{}, fmt.Errorf("asking a server without keys: %w", ErrServerKey)
	}
	to := p.server.Enc[0]
	r := envelope.Request{
		Device: p.device, Audience: p.issuer, Path: path, ID: envelope.NewID(), At: c.Now().Add(time.Duration(p.skew) * time.Second),
	}
	if len(p.server.Sign) > 0 {
		r.KnownKeys = p.server.Digest()
	}
	content, err := body(r, p.keys)
	if err != nil {
		return reply{}, err
	}
	if p.pgp != nil {
		if content, err = c.wrap(content, p.pgp, r.At); err != nil {
			return reply{}, err
		}
	}
	sealed, err := envelope.SealRequest(r, content, p.keys, to)
	if err != nil {
		return reply{}, fmt.Errorf("sealing a request: %w: %w", err, ErrInput)
	}
	raw, err := c.post(ctx, p.issuer+path, sealed)
	if err != nil {
		return reply{}, err
	}
	answer, err := envelope.OpenAnswer(raw, envelope.Awaited{
		Issuer: p.issuer, Device: p.device, RequestID: r.ID, Keys: append([]envelope.Keys{p.keys}, p.also...), Server: p.server,
	})
	if err != nil {
		return reply{}, fmt.Errorf("opening an answer: %w: %w", err, ErrAnswer)
	}
	if p.pgp != nil {
		if answer.Body, err = c.unwrap(answer, p.pgp, r.At); err != nil {
			return reply{}, err
		}
	}
	return reply{Answer: answer, request: r, serverKey: to.ID(), skew: p.skew}, nil
}

// wrapped is a body that is an OpenPGP message.
type wrapped struct {
	PGP envelope.Bytes `json:"pgp"`
}

func (c Config) wrap(body any, server []byte, now time.Time) (any, error) {
	text := []byte(`{}`)
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("encoding a body: %w: %w", err, ErrInput)
		}
	}
	message, err := c.PGP.Seal(text, server, now)
	if err != nil {
		return nil, fmt.Errorf("encrypting a body: %w: %w", err, ErrInput)
	}
	return wrapped{PGP: message}, nil
}

// unwrap takes no body in clear: whoever may leave the encryption out has broken it.
func (c Config) unwrap(answer envelope.Answer, server []byte, now time.Time) (json.RawMessage, error) {
	var body wrapped
	if err := answer.Decode(&body); err != nil || len(body.PGP) == 0 {
		return nil, fmt.Errorf("reading a body that is not encrypted: %w", ErrAnswer)
	}
	text, err := c.PGP.Open(body.PGP, server, now)
	if err != nil {
		return nil, fmt.Errorf("decrypting a body: %w: %w", err, ErrAnswer)
	}
	return text, nil
}

// post sends a sealed request and returns the sealed answer.
func (c Config) post(ctx context.Context, address, sealed string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(sealed))
	if err != nil {
		return "", fmt.Errorf("making a request: %w", ErrInput)
	}
	r.Header.Set("Content-Type", envelope.ContentType)
	r.Header.Set("Accept", envelope.ContentType+", application/problem+json")
	return c.do(r, envelope.MaxAnswer, envelope.ContentType)
}

func (c Config) do(r *http.Request, limit int64, types ...string) (string, error) {
	client := *c.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	defer func() { _ = response.Body.Close() }() // nothing more is read
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	if err := judge(response, body); err != nil {
		return "", err
	}
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, kind) || int64(len(body)) > limit {
		return "", fmt.Errorf("reading an answer of another type or size: %w", ErrAnswer)
	}
	return string(body), nil
}

// messageError is an [ErrMessage] with the server's time, 0 where it does not say.
type messageError struct{ time int64 }

// Error says no more than the server does.
func (e *messageError) Error() string { return ErrMessage.Error() }

// Unwrap makes it an [ErrMessage].
func (e *messageError) Unwrap() error { return ErrMessage }

// judge turns a status other than 200 into its error.
func judge(response *http.Response, body []byte) error {
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil || seconds < 0 || seconds > 86400 {
			seconds = 0
		}
		return &RetryError{After: time.Duration(seconds) * time.Second}
	case http.StatusBadRequest:
		var problem struct {
			Code string `json:"code"`
			Time int64  `json:"time"`
		}
		if json.Unmarshal(body, &problem) == nil && problem.Code == "message_refused" {
			return &messageError{time: max(problem.Time, 0)}
		}
	}
	return fmt.Errorf("reading an answer with status %d: %w", response.StatusCode, ErrAnswer)
}

// call asks the server as this device. When its keys are refused while others are on their way, or have just taken their place, it
// asks with those.
func (d *Device) call(ctx context.Context, path string, body build) (reply, error) {
	d.mu.Lock()
	p := d.partiesLocked()
	d.mu.Unlock()
	r, err := d.config.send(ctx, p, path, body)
	if errors.Is(err, ErrMessage) {
		if other, ok := d.otherThan(p.keys); ok {
			p.keys, p.also = other, nil
			r, err = d.config.send(ctx, p, path, body)
		}
	}
	if err != nil {
		return r, err
	}
	if err := d.adopt(ctx, p.keys); err != nil {
		return r, err
	}
	if err := d.learn(ctx, r); err != nil {
		return r, err
	}
	return r, outcome(r.Answer)
}

// otherThan returns keys that the server may know this device by instead.
func (d *Device) otherThan(keys envelope.Keys) (envelope.Keys, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !same(d.keys, keys) {
		return d.keys, true
	}
	if d.next != nil {
		return *d.next, true
	}
	return envelope.Keys{}, false
}

func same(a, b envelope.Keys) bool { return a.Public().Sign.ID() == b.Public().Sign.ID() }

func (d *Device) partiesLocked() parties {
	p := parties{issuer: d.state.Issuer, device: d.state.Device, keys: d.keys, server: d.state.Server, pgp: d.state.PGP, skew: d.state.Skew}
	if d.next != nil {
		p.also = []envelope.Keys{*d.next}
	}
	return p
}

// learn keeps what an answer says besides its body.
func (d *Device) learn(ctx context.Context, r reply) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.ServerKeys == nil && r.skew == d.state.Skew {
		return nil
	}
	return d.changeLocked(ctx, func(s *State) {
		s.Skew = r.skew
		if r.ServerKeys != nil {
			s.Server = *r.ServerKeys
		}
	})
}

// outcome turns a code other than ok into its error.
func outcome(a envelope.Answer) error {
	switch a.Code {
	case envelope.CodeOK:
		return nil
	case envelope.CodeGone:
		return ErrGone
	case envelope.CodeNotAllowed:
		return ErrNotAllowed
	case envelope.CodeRetry:
		return &RetryError{}
	default:
		var body envelope.Refused
		if err := a.Decode(&body); err != nil || body.Remaining == nil || *body.Remaining < 0 {
			return &RefusedError{Remaining: -1}
		}
		return &RefusedError{Remaining: *body.Remaining}
	}
}

// fetchKeys reads the server's keys from its published set.
func (c Config) fetchKeys(ctx context.Context, issuer string) (envelope.ServerKeys, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/jwks", http.NoBody)
	if err != nil {
		return envelope.ServerKeys{}, fmt.Errorf("making a request: %w", ErrInput)
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	body, err := c.do(r, maxKeys, "application/jwk-set+json", "application/json")
	if err != nil {
		return envelope.ServerKeys{}, err
	}
	var keys envelope.ServerKeys
	if err := keys.UnmarshalJSON([]byte(body)); err != nil {
		return envelope.ServerKeys{}, fmt.Errorf("reading the server's keys: %w: %w", err, ErrAnswer)
	}
	return keys, nil
}

// checkIssuer takes https, and http on the machine itself.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(issuer, "/") {
		return fmt.Errorf("taking an issuer that is no address, or ends with a slash: %w", ErrInput)
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
	if u.Scheme == "https" || (u.Scheme == "http" && local) {
		return nil
	}
	return fmt.Errorf("taking an issuer without https: %w", ErrInput)
}
