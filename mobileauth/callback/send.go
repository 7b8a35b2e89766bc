// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
)

// Errors of a delivery. None of them holds more of the address than the host.
var (
	// ErrNotAllowed is an address that is not in the configuration, or no longer.
	ErrNotAllowed = errors.New("the address is not in the configuration")
	// ErrAnswer is an answer that accepts nothing.
	ErrAnswer = errors.New("the receiver did not accept the callback")
)

// Trouble with one receiver: after so many failures in a row it is left alone for a while.
const (
	troubleAfter = 5
	troublePause = 30 * time.Second
)

// trouble counts failures in a row.
type trouble struct{ failures atomic.Int32 }

// judge turns a failure of a receiver in trouble into a pause for all that waits for it.
func (t *trouble) judge(err error) error {
	if err == nil {
		t.failures.Store(0)
		return nil
	}
	if t.failures.Add(1) < troubleAfter {
		return err
	}
	return outbox.Pause(troublePause, err)
}

// Deliver sends one callback. An address that is not in the configuration any more, an item that cannot be read and the answer 410
// are permanent failures.
func (s *Sender) Deliver(ctx context.Context, d outbox.Delivery) error {
	var p payload
	if err := json.Unmarshal(d.Payload, &p); err != nil {
		return outbox.Permanent(errors.New("reading a callback: it is damaged"))
	}
	r, ok := s.receivers[p.URL]
	if !ok {
		return outbox.Permanent(fmt.Errorf("calling back: %w", ErrNotAllowed))
	}
	request, err := s.request(ctx, r, d.ID, p.Notice)
	if err != nil {
		return fmt.Errorf("calling back %s: %w", r.host, err)
	}
	err = s.send(r, request)
	if err != nil {
		err = fmt.Errorf("calling back %s: %w", r.host, err)
	}
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err // we gave up, which says nothing of the receiver
	}
	return r.trouble.judge(err)
}

// request is a callback, signed.
func (s *Sender) request(ctx context.Context, r *receiver, id string, n Notice) (*http.Request, error) {
	content, err := json.Marshal(body{
		ID: id, Operation: n.Operation, Kind: n.Kind, State: n.State, At: n.At.UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	if err != nil {
		return nil, err
	}
	signature, err := s.sign(content)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(content))
	if err != nil {
		return nil, plain(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Gatehouse")
	request.Header.Set(DeliveryField, id)
	request.Header.Set(SignatureField, signature)
	if r.credentials != "" {
		request.Header.Set("Authorization", r.credentials)
	}
	return request, nil
}

// sign returns a JWS with its content taken out (RFC 7515, appendix F). The key is that of the moment, so that a repetition is signed
// by one that is still published.
func (s *Sender) sign(content []byte) (string, error) {
	key, err := s.key()
	if err != nil {
		return "", err
	}
	token, err := jose.Sign(key, Typ, content)
	if err != nil {
		return "", err
	}
	return token[:strings.IndexByte(token, '.')+1] + token[strings.LastIndexByte(token, '.'):], nil
}

func (s *Sender) send(r *receiver, request *http.Request) error {
	ctx, cancel := context.WithTimeout(request.Context(), s.timeout)
	defer cancel()
	response, err := r.client.Do(request.WithContext(ctx))
	if err != nil {
		return plain(err)
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	answer, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", plain(err))
	}
	return s.accepted(response, len(answer) > 0)
}

// accepted judges an answer. A page of HTML comes from something in front of the receiver, which asks to log in or to come back
// later, and not from the receiver.
func (s *Sender) accepted(response *http.Response, filled bool) error {
	status := response.StatusCode
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	page := filled && (kind == "text/html" || kind == "application/xhtml+xml")
	switch {
	case status >= 200 && status < 300 && !page:
		return nil
	case status >= 200 && status < 300:
		return fmt.Errorf("it answered with a page: %w", ErrAnswer)
	case status >= 300 && status < 400:
		return fmt.Errorf("it redirects with status %d, which is not followed: %w", status, ErrAnswer)
	}
	err := fmt.Errorf("status %d: %w", status, ErrAnswer)
	if status == http.StatusGone {
		return outbox.Permanent(err)
	}
	if after := retryAfter(response.Header.Get("Retry-After"), s.now()); after > 0 {
		return outbox.Retry(after, err)
	}
	return err
}

// retryAfter reads the field of that name, seconds or a date (RFC 9110, section 10.2.3); zero where it says nothing.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// errTimeout is a call that took too long.
var errTimeout = errors.New("it took too long")

// errConnection stands for what else goes wrong between two hosts. The library's own words may repeat what came over the wire, and a
// receiver that is none may send back what it was sent.
var errConnection = errors.New("the connection broke, or the answer is not HTTP")

// plain is what of an error of net/http can be shown: neither the address, whose path or query may hold a secret, nor anything that
// the other side has said.
func plain(err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errTimeout
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	}
	return errConnection
}
