// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// wanted is what enroll is told.
type wanted struct {
	issuer, code string
	pin          bool
	push         notices
	enrolment    device.Enrolment
}

func enroll(o *options) *cobra.Command {
	var w wanted
	cmd := bare(o, "enroll [<text of the QR code>]", "Registers the phone, from the text of a QR code or from an activation code",
		cobra.MaximumNArgs(1), func(s *session, args []string) error { return explain(s.enroll(&w, args)) })
	flags := cmd.Flags()
	flags.StringVar(&w.issuer, "issuer", "", "the server, where there is no QR code")
	flags.StringVar(&w.code, "code", "", "the activation code, where there is no QR code")
	flags.BoolVar(&w.pin, "pin", true, "choose a PIN")
	e := &w.enrolment
	flags.StringVar(&e.Application, "application", "", "the app (required)")
	flags.StringVar(&e.Platform, "platform", "android", "its platform")
	flags.StringVar(&e.Version, "app-version", "1.0", "its version")
	flags.StringVar(&e.Name, "name", "Simulator", "what its owner calls the phone")
	flags.StringVar(&e.Model, "model", "gatehouse device", "the phone's model")
	flags.StringVar(&e.OS, "os", "", "its operating system")
	flags.StringVar(&e.Handset, "handset", "", "what tells this handset from others; random by default")
	flags.StringSliceVar(&e.Factors, "factor", nil, `further factors: "biometric", "custom:NAME"`)
	flags.StringVar(&w.push.service, "push-service", "", "push service of --push-address or --push-subscribe")
	flags.StringVar(&w.push.address, "push-address", "", "where notices go")
	flags.StringVar(&w.push.subscribe, "push-subscribe", "", "where the copy of a browser's push service takes subscriptions")
	o.vouching.flags(flags)
	return cmd
}

func (w *wanted) invitation(args []string) (envelope.Invitation, error) {
	if len(args) == 1 {
		if w.issuer != "" || w.code != "" {
			return envelope.Invitation{}, errors.New("give the text of the QR code, or --issuer and --code, and not both")
		}
		return envelope.ParseInvitation(args[0])
	}
	if w.issuer == "" || w.code == "" {
		return envelope.Invitation{}, errors.New("give the text of the QR code, or --issuer and --code")
	}
	code, err := envelope.ParseActivationCode(w.code)
	return envelope.Invitation{Issuer: strings.TrimSuffix(w.issuer, "/"), Code: code}, err
}

func (s *session) enroll(w *wanted, args []string) (err error) {
	e := w.enrolment
	if e.Application == "" {
		return errors.New("say which app this is: --application")
	}
	if e.Invitation, err = w.invitation(args); err != nil {
		return err
	}
	if (w.push.service == "") != (w.push.address == "" && w.push.subscribe == "") || w.push.address != "" && w.push.subscribe != "" {
		return errors.New("--push-service and one of --push-address and --push-subscribe belong together")
	}
	if _, err = s.vouching.attester(e.Platform); err != nil {
		return err
	}
	if e.Handset == "" {
		e.Handset = rand.Text()
	}
	if s.phone, err = newPhone(s.file); err != nil {
		return err
	}
	if w.pin {
		if e.PIN, err = s.newPIN("Choose a PIN: "); err != nil {
			return err
		}
	}
	if s.phone.Push, e.Push, err = s.reach(w.push); err != nil {
		return err
	}
	s.phone.Platform = e.Platform
	config, err := s.config()
	if err != nil {
		return err
	}
	if s.device, err = device.Enrol(s.ctx, config, e); err != nil {
		return err
	}
	return s.enrolled()
}

// enrolled says what is left to do.
func (s *session) enrolled() error {
	state := s.device.State()
	if state.Status == "pending" {
		return s.say(state, "This phone shows %s. Enter it where the registration began. Then it takes part, or waits for another phone of yours (see \"device status\").", state.Digits)
	}
	return s.say(state, "This phone is %s, as %s.", state.Status, state.Device)
}
