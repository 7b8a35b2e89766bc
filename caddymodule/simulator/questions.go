// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

func list(o *options) *cobra.Command {
	var wait time.Duration
	cmd := held(o, "list", "Lists what waits for an answer", cobra.NoArgs, func(s *session, _ []string) error {
		open, err := s.device.Pending(s.ctx, wait)
		if err != nil {
			return err
		}
		if s.json {
			return s.say(open, "")
		}
		if len(open) == 0 {
			return s.say(nil, "Nothing waits.")
		}
		table := tabwriter.NewWriter(s.cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "OPERATION\tKIND\tUNTIL") // a tabwriter keeps its errors for Flush
		for _, o := range open {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", o.Operation, o.Kind, time.Unix(o.Expires, 0).Local().Format(time.TimeOnly))
		}
		return table.Flush()
	})
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait for something")
	return cmd
}

func show(o *options) *cobra.Command {
	return held(o, "show [<operation>]", "Shows what is asked", cobra.MaximumNArgs(1), func(s *session, args []string) error {
		q, err := s.question(args)
		if err != nil {
			return err
		}
		if s.json {
			return s.say(q.Display, "")
		}
		return WriteQuestion(s.cmd.OutOrStdout(), q)
	})
}

func scan(o *options) *cobra.Command {
	return held(o, "scan <text>", "Claims what a QR code asks, and shows it", cobra.ExactArgs(1), func(s *session, args []string) error {
		q, err := s.device.Scan(s.ctx, args[0])
		if err != nil {
			return err
		}
		if s.json {
			return s.say(q.Display, "")
		}
		if err := WriteQuestion(s.cmd.OutOrStdout(), q); err != nil {
			return err
		}
		return s.say(nil, `Answer it with "device approve" or "device deny".`)
	})
}

// question fetches an operation: the one that is named, or the only one there is.
func (s *session) question(args []string) (device.Question, error) {
	if len(args) == 1 {
		return s.device.Fetch(s.ctx, args[0])
	}
	open, err := s.device.Pending(s.ctx, 0)
	switch {
	case err != nil:
		return device.Question{}, err
	case len(open) == 0:
		return device.Question{}, errors.New("nothing waits for an answer of this phone: nobody asked, or it was answered, or it is too late")
	case len(open) > 1:
		return device.Question{}, fmt.Errorf("%d questions wait: name one (see \"device list\")", len(open))
	}
	return s.device.Fetch(s.ctx, open[0].Operation)
}

// WriteQuestion shows everything that an answer is about, and nothing else.
func WriteQuestion(to io.Writer, q device.Question) error {
	var text strings.Builder
	about := string(q.Kind)
	if q.Application != "" { // a question need not name one
		about = q.Application + ", " + about
	}
	if q.Title != "" {
		about = q.Title + " (" + about + ")"
	}
	fmt.Fprintf(&text, "%s\n%s\n", strings.Repeat("─", 60), about)
	if q.Content != "" {
		fmt.Fprintf(&text, "\n%s\n", q.Content)
	}
	for _, f := range q.Fields {
		fmt.Fprintf(&text, "  %-16s %s\n", f.Label, strings.TrimSpace(f.Value+" "+f.Currency))
	}
	for _, more := range []string{q.Secure, q.Data} {
		if more != "" {
			fmt.Fprintf(&text, "\n%s\n", more)
		}
	}
	fmt.Fprintf(&text, "\nuntil %s", time.Unix(q.Expires, 0).Local().Format(time.TimeOnly))
	if q.NumberMatch > 0 {
		fmt.Fprintf(&text, "; enter the %d digits that are shown where this began", q.NumberMatch)
	}
	_, err := fmt.Fprintf(to, "%s\n%s\n", text.String(), strings.Repeat("─", 60))
	return err
}

// approval is what approve is told.
type approval struct {
	number, factor string
}

func approve(o *options) *cobra.Command {
	var a approval
	cmd := held(o, "approve [<operation>]", "Approves, after showing what", cobra.MaximumNArgs(1), func(s *session, args []string) error {
		q, err := s.question(args)
		if err != nil {
			return err
		}
		if !s.json {
			if err := WriteQuestion(s.cmd.OutOrStdout(), q); err != nil {
				return err
			}
		}
		return s.approve(q, a)
	})
	cmd.Flags().StringVar(&a.number, "number", "", "the number that is shown where it began")
	cmd.Flags().StringVar(&a.factor, "factor", "", `prove it with "biometric" or "custom:NAME" in the place of the PIN`)
	return cmd
}

func (s *session) approve(q device.Question, a approval) (err error) {
	answer := device.Approval{Number: a.number, Proof: device.Proof{Factor: a.factor}}
	if q.NumberMatch > 0 && answer.Number == "" {
		if answer.Number, err = s.ask("Number: "); err != nil {
			return err
		}
	}
	if a.factor == "" && needsPIN(q, s.device.State()) {
		if answer.PIN, err = s.askPIN("PIN: "); err != nil {
			return err
		}
	}
	if err := s.device.Approve(s.ctx, q, answer); err != nil {
		return err
	}
	return s.say(map[string]string{"operation": q.Operation, "state": "approved"}, "Approved.")
}

// needsPIN reports whether possession alone does not do.
func needsPIN(q device.Question, state device.State) bool {
	return state.PIN != nil && !slices.Contains(q.Methods, envelope.MethodPossession)
}

func deny(o *options) *cobra.Command {
	var reason string
	cmd := held(o, "deny [<operation>]", "Denies", cobra.MaximumNArgs(1), func(s *session, args []string) error {
		q, err := s.question(args)
		if err != nil {
			return err
		}
		return s.deny(q, reason)
	})
	cmd.Flags().StringVar(&reason, "reason", envelope.Denied, "denied, not_me or incorrect_data")
	return cmd
}

func (s *session) deny(q device.Question, reason string) error {
	if err := s.device.Deny(s.ctx, q, reason); err != nil {
		return err
	}
	return s.say(map[string]string{"operation": q.Operation, "state": "denied", "reason": reason}, "Denied.")
}

// holdFor is how long one request of watch waits for a question.
const holdFor = 30 * time.Second

// breather is how long watch leaves a server alone that cannot answer.
const breather = 5 * time.Second

func watch(o *options) *cobra.Command {
	var inbox string
	cmd := held(o, "watch", "Waits for questions and asks what to answer, until it is interrupted", cobra.NoArgs,
		func(s *session, _ []string) error {
			if inbox != "" {
				return s.listen(inbox)
			}
			s.cmd.PrintErrln("Waiting for questions; Ctrl-C ends.")
			seen := map[string]bool{}
			for s.ctx.Err() == nil {
				open, err := s.device.Pending(s.ctx, holdFor)
				if err == nil {
					err = s.answerAll(open, seen)
				}
				if err := s.outlast(err, len(open) > 0); err != nil {
					return err
				}
			}
			return nil
		})
	cmd.Flags().StringVar(&inbox, "inbox", "",
		"wait for notifications instead: where the copy of a push service leaves them, with "+addressMark+" for this phone's address")
	return cmd
}

// outlast waits where the server cannot be reached, or where all that is open was seen.
func (s *session) outlast(err error, again bool) error {
	if unreached(err) {
		s.cmd.PrintErrln("The server does not answer; trying again.")
		again, err = true, nil
	}
	if err != nil || !again {
		return err
	}
	return s.breathe()
}

// unreached reports whether the server may answer the same later.
func unreached(err error) bool {
	return errors.Is(err, device.ErrNetwork) || errors.Is(err, device.ErrUnavailable)
}

// breathe waits a while, or until the person goes away.
func (s *session) breathe() error {
	select {
	case <-s.ctx.Done():
	case <-time.After(breather):
	}
	return nil
}

func (s *session) answerAll(open []envelope.Summary, seen map[string]bool) error {
	for _, o := range open {
		if seen[o.Operation] {
			continue
		}
		seen[o.Operation] = true
		q, err := s.device.Fetch(s.ctx, o.Operation)
		if errors.Is(err, device.ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.decide(q); err != nil {
			return err
		}
	}
	return nil
}

// decide shows a question until it is answered or put aside.
func (s *session) decide(q device.Question) error {
	if err := WriteQuestion(s.cmd.OutOrStdout(), q); err != nil {
		return err
	}
	for {
		said, err := s.ask("[a]pprove, [d]eny, [n]ot me, [w]rong data, [l]ater: ")
		if err != nil {
			return err
		}
		switch strings.ToLower(said) {
		case "a", "approve":
			err = s.approve(q, approval{})
		case "d", "deny":
			err = s.deny(q, envelope.Denied)
		case "n", "not me":
			err = s.deny(q, envelope.NotMe)
		case "w", "wrong data":
			err = s.deny(q, envelope.IncorrectData)
		case "l", "later":
			return nil
		default:
			s.cmd.PrintErrln("Answer with one of the letters.")
			continue
		}
		if errors.Is(err, device.ErrGone) {
			return s.say(map[string]string{"operation": q.Operation, "state": "gone"}, "It is not open any more.")
		}
		if refused := new(device.RefusedError); errors.As(err, &refused) && refused.Remaining != 0 {
			s.cmd.PrintErrln(explain(err))
			continue
		}
		return err
	}
}
