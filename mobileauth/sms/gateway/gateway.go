// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/call"
)

// Sender sends through one provider. It does not print its secrets.
type Sender struct {
	x      *compiled
	client *provider.Client
}

var (
	_ sms.Sender   = (*Sender)(nil)
	_ sms.Reporter = (*Sender)(nil)
)

// New returns a sender, or an error that says what in the configuration does not fit and repeats neither address nor secret. It connects
// to nothing yet.
func New(c Config) (*Sender, error) {
	x, err := compile(c)
	if err != nil {
		return nil, fmt.Errorf("configuring an SMS gateway: %w", err)
	}
	client, err := provider.New(provider.Config{
		URL: x.address, Proxy: c.Proxy, Roots: c.Roots, Timeout: c.Timeout, Places: c.Places, MaxAnswer: MaxAnswer,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring an SMS gateway: %w", err)
	}
	return &Sender{x: x, client: client}, nil
}

// Send hands a message to the provider, once, and returns its id where answers hold one.
func (s *Sender) Send(ctx context.Context, m sms.Message) (id string, err error) {
	now := s.x.Now()
	if err := m.Check(now); err != nil {
		return "", err
	}
	left := int64(m.Expires.Sub(now) / time.Second)
	if left < 1 {
		return "", &sms.Failure{Class: sms.Refused, Reason: "expired"}
	}
	r, err := s.request(ctx, m, left)
	if err != nil {
		return "", &sms.Failure{Class: sms.Config, Reason: "address"}
	}
	answer, err := call.Do(s.client, r)
	if err != nil {
		return "", err
	}
	return s.x.answers.read(answer, s.x.Now())
}

func (s *Sender) request(ctx context.Context, m sms.Message, left int64) (*http.Request, error) {
	v := values{to: s.x.spell(m.To), from: s.x.From, text: m.Text, id: m.ID, ttl: strconv.FormatInt(left, 10)}
	path, query, asked := strings.Cut(s.x.rest, "?")
	address := s.x.address + v.fill(path, url.PathEscape)
	if asked {
		address += "?" + v.fill(query, url.QueryEscape)
	}
	var body []byte
	if s.x.body != nil {
		body = s.x.body.append(nil, v)
	}
	r, err := http.NewRequestWithContext(ctx, s.x.Method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range s.x.header {
		r.Header.Set(name, v.fill(value, fieldValue))
	}
	r.Header.Set("User-Agent", "Gatehouse")
	r.Header.Set("Accept", "application/json, */*;q=0.1")
	switch s.x.Format {
	case JSON:
		r.Header.Set("Content-Type", "application/json")
	case Form:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case None:
	}
	s.x.Auth.set(r, body, s.x.Now())
	return r, nil
}

// fieldValue leaves out what cannot stand in a header field. Ids are ours and have nothing of the kind.
func fieldValue(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// Close lets go of connections that wait for the next message.
func (s *Sender) Close() { s.client.Close() }

// String names the provider by its host, without its secrets.
func (s *Sender) String() string { return "SMS gateway at " + s.x.address }

// GoString keeps %#v from printing secrets.
func (s *Sender) GoString() string { return s.String() }

// LogValue keeps structured logs from printing secrets.
func (s *Sender) LogValue() slog.Value { return slog.StringValue(s.String()) }
