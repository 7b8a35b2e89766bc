// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bufio"
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

// Phone is a file of a phone.
type Phone = phone

// Reach and Subscription are what it keeps about notifications.
type (
	Reach        = reach
	Subscription = subscription
)

// The steps of the package that tests take one by one.
var (
	NewPhone  = newPhone
	OpenPhone = openPhone
	Explain   = explain
	NeedsPIN  = needsPIN
	Subscribe = subscribe
)

// Open opens a message, and Address is what the issuer is told.
func (s *subscription) Open(body []byte) ([]byte, error) { return s.open(body) }

// Address returns the address of a phone.
func (s *subscription) Address() (string, error) { return s.address() }

// Next listens to an inbox once, as a phone that is notified like that.
func (s *session) Next(r *Reach, at string) (string, error) {
	s.phone = &phone{Push: r}
	box, err := s.inbox(at)
	if err != nil {
		return "", err
	}
	return box.next(s.ctx)
}

// Save saves a phone.
func (p *phone) Save(ctx context.Context, s device.State) error { return p.save(ctx, s) }

// Forget removes a phone.
func (p *phone) Forget() error { return p.forget() }

// Person answers the questions of a session from in; what they are shown goes to out.
func Person(in io.Reader, out io.Writer) *session {
	cmd := new(cobra.Command)
	cmd.SetIn(in)
	cmd.SetOut(out)
	cmd.SetErr(out)
	return &session{options: new(options), cmd: cmd, in: bufio.NewReader(in), ctx: context.Background()}
}

// During has the person go away with ctx.
func (s *session) During(ctx context.Context) *session {
	s.ctx = ctx
	return s
}

// Ask, AskPIN and NewPIN are what a person is asked.
func (s *session) Ask(question string) (string, error) { return s.ask(question) }

// AskPIN asks for a PIN.
func (s *session) AskPIN(question string) (string, error) { return s.askPIN(question) }

// NewPIN asks for a PIN that is chosen.
func (s *session) NewPIN(question string) (string, error) { return s.newPIN(question) }
