// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// longestWait is how long a request takes at most: the longest that the server holds one, and some.
const longestWait = 90 * time.Second

// Command returns "gatehouse device" with its subcommands.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use: "device", Short: "Is a phone: enrolls, shows what it is asked, approves and denies",
		Long: "Is a phone, without a phone. Its keys are in a file (--file), in the place of a phone's hardware; two files are two phones.\n\n" +
			"PINs are asked for, or read from standard input, a line each; they are never arguments.",
	}
	var o options
	flags := cmd.PersistentFlags()
	flags.StringVarP(&o.file, "file", "f", "phone.json", "the phone")
	flags.StringVar(&o.ca, "ca", "", "certificate authority (PEM) that vouches for the server, beside those of the system")
	for _, make := range []func(*options) *cobra.Command{
		authority, enroll, status, list, show, scan, approve, deny, watch, pin, keys, push, transfer, release, disconnect,
	} {
		cmd.AddCommand(make(&o))
	}
	return cmd
}

// options are those of every subcommand.
type options struct {
	file string
	ca   string
	json bool

	vouching vouching
}

// session is one run of a subcommand: a phone, and the person who holds it.
type session struct {
	*options
	cmd    *cobra.Command
	ctx    context.Context
	in     *bufio.Reader
	phone  *phone
	device *device.Device
}

// held returns a subcommand for a phone that is enrolled.
func held(o *options, use, short string, args cobra.PositionalArgs, run func(s *session, args []string) error) *cobra.Command {
	return bare(o, use, short, args, func(s *session, args []string) (err error) {
		if s.phone, err = openPhone(o.file); err != nil {
			return err
		}
		config, err := s.config()
		if err != nil {
			return err
		}
		if s.device, err = device.Open(s.ctx, config, s.phone.State); err != nil {
			return fmt.Errorf("switching the phone on: %w", err)
		}
		return explain(run(s, args))
	})
}

// bare returns a subcommand. It ends when it is interrupted.
func bare(o *options, use, short string, args cobra.PositionalArgs, run func(s *session, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			o.json, _ = cmd.Flags().GetBool("json") // a flag of the command that this one is under
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			err := run(&session{options: o, cmd: cmd, ctx: ctx, in: bufio.NewReader(cmd.InOrStdin())}, args)
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return nil // the person has put the phone away
			}
			return err
		},
	}
}

// config is what the phone works with.
func (s *session) config() (device.Config, error) {
	client, err := s.client()
	if err != nil {
		return device.Config{}, err
	}
	attest, err := s.vouching.attester(s.phone.Platform)
	return device.Config{
		Client: client, Keystore: s.phone.Keys, Vault: s.phone.Keys, Now: time.Now, Save: s.phone.save, Attest: attest,
	}, err
}

func (s *session) client() (*http.Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if s.ca != "" {
		pem, err := os.ReadFile(s.ca)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate authority: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", s.ca)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: longestWait}, nil
}

// say writes a result: as JSON where that is wanted, else as the text.
func (s *session) say(result any, format string, args ...any) error {
	if s.json {
		return json.NewEncoder(s.cmd.OutOrStdout()).Encode(result)
	}
	_, err := fmt.Fprintf(s.cmd.OutOrStdout(), format+"\n", args...)
	return err
}

// explain says what a person can do about an error.
func explain(err error) error {
	if refused := new(device.RefusedError); errors.As(err, &refused) {
		switch {
		case refused.Remaining == 0:
			return errors.New("wrong, and that was the last try")
		case refused.Remaining == 1:
			return errors.New("the PIN or the number is wrong; 1 try is left")
		case refused.Remaining > 0:
			return fmt.Errorf("the PIN or the number is wrong; %d tries are left", refused.Remaining)
		}
	}
	switch {
	case errors.Is(err, device.ErrNotAllowed):
		return fmt.Errorf("%w: it may be quarantined, not confirmed yet, or the question is not this phone's (see \"device status\")", err)
	case errors.Is(err, device.ErrMessage):
		return fmt.Errorf("%w: the phone may be locked or disconnected at the server, or its clock is wrong", err)
	}
	return err
}

// methodName is what a person calls a way to prove oneself.
func methodName(method string) string {
	switch method {
	case envelope.MethodPossession:
		return "this phone"
	case envelope.FactorPIN:
		return "PIN"
	}
	return method
}
