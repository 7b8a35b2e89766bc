// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

func status(o *options) *cobra.Command {
	return held(o, "status", "Asks the server about this phone", cobra.NoArgs, func(s *session, _ []string) error {
		about, err := s.device.Refresh(s.ctx)
		if err != nil {
			return err
		}
		if s.json {
			return s.say(about, "")
		}
		names := []string{methodName(envelope.MethodPossession)}
		for _, factor := range about.Factors {
			names = append(names, methodName(factor.Kind))
		}
		if err := s.say(nil, "%s is %s at %s. It proves itself by: %s.", about.Device, about.Status, s.device.State().Issuer,
			strings.Join(names, ", ")); err != nil {
			return err
		}
		switch about.Status {
		case "pending":
			return s.say(nil, "Enter %s where the registration began.", s.device.State().Digits)
		case "quarantined":
			return s.say(nil, "Another phone of the same user lets it take part (device release %s, with --file of that phone), or the back end "+
				"(POST /api/v1/devices/%s/release).", about.Device, about.Device)
		}
		for _, other := range about.Waiting {
			if err := s.say(nil, "%s (%s, %s) waits to be released: device release %s", other.Device, other.Name, other.Model,
				other.Device); err != nil {
				return err
			}
		}
		return nil
	})
}

// proof asks for the PIN of a phone that has one.
func (s *session) proof() (device.Proof, error) {
	if s.device.State().PIN == nil {
		return device.Proof{}, nil
	}
	pin, err := s.askPIN("PIN: ")
	return device.Proof{PIN: pin}, err
}

// proven returns a subcommand for which the person proves to be there.
func proven(o *options, use, short string, args cobra.PositionalArgs,
	run func(s *session, by device.Proof, args []string) error,
) *cobra.Command {
	return held(o, use, short, args, func(s *session, args []string) error {
		by, err := s.proof()
		if err != nil {
			return err
		}
		return run(s, by, args)
	})
}

func pin(o *options) *cobra.Command {
	return proven(o, "pin", "Changes the PIN", cobra.NoArgs, func(s *session, by device.Proof, _ []string) error {
		fresh, err := s.newPIN("New PIN: ")
		if err != nil {
			return err
		}
		if err := s.device.ChangePIN(s.ctx, by, fresh); err != nil {
			return err
		}
		return s.say(map[string]string{"pin": "changed"}, "The PIN is changed.")
	})
}

func keys(o *options) *cobra.Command {
	cmd := proven(o, "keys", "Replaces the phone's keys", cobra.NoArgs, func(s *session, by device.Proof, _ []string) error {
		if err := s.device.RollKeys(s.ctx, by); err != nil {
			return err
		}
		return s.say(map[string]string{"keys": "replaced"}, "The keys are replaced.")
	})
	o.vouching.flags(cmd.Flags())
	return cmd
}

// notices is what the person says about where notices go.
type notices struct{ service, address, subscribe string }

// reach returns where notices go, and what the server is told of it; nothing of nothing.
func (s *session) reach(n notices) (*reach, *envelope.PushAddress, error) {
	if n.service == "" {
		return nil, nil, nil
	}
	r := &reach{Service: n.service, Address: n.address}
	if n.subscribe != "" {
		client, err := s.client()
		if err != nil {
			return nil, nil, err
		}
		if r.Web, err = subscribe(s.ctx, client, n.subscribe); err != nil {
			return nil, nil, err
		}
		if r.Address, err = r.Web.address(); err != nil {
			return nil, nil, err
		}
	}
	return r, &envelope.PushAddress{Service: r.Service, Address: r.Address}, nil
}

func push(o *options) *cobra.Command {
	var n notices
	cmd := held(o, "push [<service> [<address>]]", "Sets where notices go; without an address, nowhere",
		func(cmd *cobra.Command, args []string) error {
			switch {
			case n.subscribe != "":
				return cobra.ExactArgs(1)(cmd, args)
			case len(args) > 0:
				return cobra.ExactArgs(2)(cmd, args)
			}
			return nil
		},
		func(s *session, args []string) error {
			if len(args) > 0 {
				n.service = args[0]
			}
			if len(args) > 1 {
				n.address = args[1]
			}
			return s.setPush(n)
		})
	cmd.Flags().StringVar(&n.subscribe, "subscribe", "", "where the copy of a browser's push service takes subscriptions, in the place of an address")
	return cmd
}

func (s *session) setPush(n notices) error {
	r, address, err := s.reach(n)
	if err != nil {
		return err
	}
	switch err := s.device.SetPush(s.ctx, address); {
	case errors.Is(err, device.ErrNotAllowed):
		return fmt.Errorf("the server does not take it: it is no address of %q (Apple's have 64 hexadecimal digits, Google's at least 16 characters, "+
			"those of browsers come by --subscribe), or this phone may do nothing yet (see \"device status\"), or its app has push off", n.service)
	case err != nil:
		return err
	}
	s.phone.Push = r
	if err := s.phone.save(s.ctx, s.device.State()); err != nil {
		return err
	}
	return s.say(map[string]any{"push": address}, "The server knows where notices go.")
}

func transfer(o *options) *cobra.Command {
	return proven(o, "transfer", "Invites another phone to take this one's place", cobra.NoArgs,
		func(s *session, by device.Proof, _ []string) error {
			out, err := s.device.Transfer(s.ctx, by)
			if err != nil {
				return err
			}
			return s.say(out, "Enroll the other phone with:\n\n  gatehouse device enroll --file OTHER --application APP '%s'", out.Invitation)
		})
}

func release(o *options) *cobra.Command {
	var reject bool
	cmd := proven(o, "release <device>", "Lets a new phone of the same user take part", cobra.ExactArgs(1),
		func(s *session, by device.Proof, args []string) error {
			decision, said := envelope.Approve, "It may take part."
			if reject {
				decision, said = envelope.Deny, "It is thrown out."
			}
			if err := s.device.Release(s.ctx, by, args[0], decision); err != nil {
				return err
			}
			return s.say(map[string]string{"device": args[0], "decision": string(decision)}, "%s", said)
		})
	cmd.Flags().BoolVar(&reject, "reject", false, "throw it out")
	return cmd
}

func disconnect(o *options) *cobra.Command {
	return held(o, "disconnect", "Ends the registration and removes the file", cobra.NoArgs, func(s *session, _ []string) error {
		if err := s.device.Disconnect(s.ctx); err != nil {
			return err
		}
		if err := s.phone.forget(); err != nil {
			return err
		}
		return s.say(map[string]string{"device": "disconnected"}, "The phone is not registered any more.")
	})
}
