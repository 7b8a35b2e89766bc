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

// The steps of the package that tests take one by one.
var (
	NewPhone      = newPhone
	OpenPhone     = openPhone
	Explain       = explain
	WriteQuestion = writeQuestion
	NeedsPIN      = needsPIN
)

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
