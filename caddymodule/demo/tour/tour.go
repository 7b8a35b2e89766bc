// SPDX-License-Identifier: Apache-2.0

package tour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/demo/wire"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
)

// patience bounds each request: the longest that the server holds one, and some.
const patience = 90 * time.Second

// Roots returns the keys that receipts of the server are verified by, as its operator hands them out.
type Roots func(cmd *cobra.Command) (receipt.Roots, error)

// Command returns "gatehouse demo".
func Command(roots Roots) *cobra.Command {
	o := options{roots: roots}
	cmd := &cobra.Command{
		Use: "demo", Args: cobra.NoArgs,
		Short: "Shows all of it in a minute: a phone is registered, a payment is asked for, approved, done, and proven",
		Long: "Plays a back end, an app, a person, their phone and an auditor against the server that Caddyfile.example starts (\"./xcaddy.sh run\"), and\n" +
			"shows every message. The phone is removed at the end; a receipt stays.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return o.run(ctx, cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.issuer, "issuer", "http://localhost:8080", "the authorization server")
	flags.StringVar(&o.api, "api", "http://localhost:8082", "the protected API")
	flags.StringVar(&o.login, "user", "alice", "the person; the password is taken from DEMO_ALICE_PASSWORD, or is that of the example")
	flags.StringVar(&o.application, "application", "demo-bank", "the app on the phone")
	flags.StringVar(&o.client, "client", "demo-native", "the app that calls the API")
	flags.StringVar(&o.backEnd, "back-end", "demo-portal", "the back end; its secret is taken from DEMO_PORTAL_SECRET, or is that of the example")
	flags.StringVar(&o.auditor, "auditor", "demo-auditor", "who reads receipts; the secret is taken from DEMO_AUDITOR_SECRET, or is that of the example")
	return cmd
}

// options are what the tour is told.
type options struct {
	issuer, api, login, application, client, backEnd, auditor string

	roots Roots
}

// The secrets of the example Caddyfile, which says itself that they are for the demo alone.
const (
	demoPassword = "wonderland-2026"
	demoSecret   = "demo-portal-secret-0123456789" //nolint:gosec // it stands in Caddyfile.example

	demoAuditorSecret = "demo-auditor-secret-0123456789" //nolint:gosec // so does it
)

// tour is one run.
type tour struct {
	*options
	ctx  context.Context
	cmd  *cobra.Command
	out  io.Writer
	step int

	userID   string
	phone    *device.Device
	app      *http.Client
	question question
}

// question is what the gate answered when it wanted the phone.
type question struct {
	Operation string `json:"operation"`
	Number    string `json:"number"`
}

// chapter is one part of the tour.
type chapter struct {
	title string
	run   func() error
}

func (o *options) run(ctx context.Context, cmd *cobra.Command) (err error) {
	t := &tour{options: o, ctx: ctx, cmd: cmd, out: cmd.OutOrStdout()}
	defer func() { err = errors.Join(err, t.leave()) }()
	for _, c := range []chapter{
		{"A back end finds the person, and invites their phone", t.invite},
		{"The app logs the person in, by password", t.logIn},
		{"The app asks for a payment: the gate wants the phone", t.pay},
		{"The phone shows what is asked, and the person approves", t.approve},
		{"A payment that was changed meanwhile is not the one that was approved", t.change},
		{"The same payment passes, once", t.repeat},
		{"The receipt proves who approved what, to anybody, at any time", t.prove},
	} {
		t.step++
		t.say("\n%d. %s", t.step, c.title)
		if err := c.run(); err != nil {
			return fmt.Errorf("step %d, %q: %w", t.step, c.title, err)
		}
	}
	t.say("\nThat was it. docs/confirm.md says how to have the same on a route of your own.")
	return nil
}

// leave removes the phone, also when something went wrong on the way or the person has had enough.
func (t *tour) leave() error {
	if t.phone == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), 10*time.Second)
	defer cancel()
	t.say("\nThe phone says good-bye")
	if err := t.phone.Disconnect(ctx); err != nil {
		return fmt.Errorf("removing the demo's phone: %w", err)
	}
	return nil
}

func (t *tour) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, format+"\n", args...) // a terminal that is gone reads nothing either
}

func (t *tour) show(e wire.Exchange) {
	_, _ = io.WriteString(t.out, e.String()) // the same
}

// as returns a client whose every message is shown as that party's.
func (t *tour) as(party string) *http.Client {
	return &http.Client{
		Timeout: patience, Transport: &wire.Wire{Party: party, Base: http.DefaultTransport, Show: t.show},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
