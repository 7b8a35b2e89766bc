// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// Config is what a sender needs. Both are required.
type Config struct {
	// Logger gets each message at level WARN, since a log with codes in it is one to be careful with.
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Sender writes messages to a log.
type Sender struct{ c Config }

var _ sms.Sender = (*Sender)(nil)

// New returns a sender.
func New(c Config) (*Sender, error) {
	if c.Logger == nil || c.Now == nil {
		return nil, errors.New("configuring text messages to a log: a logger and a clock are required")
	}
	return &Sender{c}, nil
}

// Send writes number and text to the log, and returns the message's own id.
func (s *Sender) Send(ctx context.Context, m sms.Message) (id string, err error) {
	if err := m.Check(s.c.Now()); err != nil {
		return "", err
	}
	n, encoding := sms.Segments(m.Text)
	s.c.Logger.WarnContext(ctx, "a text message, for development only",
		"to", m.To, "text", m.Text, "segments", n, "encoding", string(encoding), "expires", m.Expires)
	return m.ID, nil
}

// Close does nothing.
func (s *Sender) Close() {}
