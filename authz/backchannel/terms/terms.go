// SPDX-License-Identifier: Apache-2.0

package terms

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Mode is how a client learns the result (CIBA 5).
type Mode string

// The modes.
const (
	// Poll lets the client ask the token endpoint until there is a result.
	Poll Mode = "poll"
	// Ping tells the client that there is one, and the client fetches it.
	Ping Mode = "ping"
	// Push sends the tokens to the client.
	Push Mode = "push"
)

// Modes are all there are.
func Modes() []Mode { return []Mode{Poll, Ping, Push} }

// Terms are what one client is registered for. They are immutable.
type Terms struct {
	Mode Mode
	// Endpoint is where the client is told, by ping and push: https, or http on a loopback host that Allow covers. Allow names the
	// networks beside the public internet in which it may be.
	Endpoint string
	Allow    []netip.Prefix
	// Signed makes the client sign its requests, with one of its keys and this algorithm; empty leaves it to send them plain.
	Signed jose.Algorithm
	// UserCode asks for the code that the user has chosen for being asked (CIBA 7.1).
	UserCode bool
	// NoNumber has people type no number on the phone that stands where the request began. A binding message is required then.
	NoNumber bool
	// TellUnknown lets the client learn that a user is not known or cannot be asked. Without it nobody can be told from somebody who
	// does not answer.
	TellUnknown bool
	// HintIssuers are those whose login_hint_token is believed, with their keys.
	HintIssuers map[string][]jose.PublicKey
}

// Told reports whether the client is told of the result.
func (m Mode) Told() bool { return m == Ping || m == Push }

// Polls reports whether the client fetches the result.
func (m Mode) Polls() bool { return m == Poll || m == Ping }

// Check refuses terms that contradict themselves. Keys says whether the client has public keys.
func (t *Terms) Check(keys bool) error {
	switch {
	case !slices.Contains(Modes(), t.Mode):
		return fmt.Errorf("has the unknown mode %q: want poll, ping or push", t.Mode)
	case t.Mode.Told() && t.Endpoint == "":
		return fmt.Errorf("has no notification endpoint, which %s needs (CIBA 4)", t.Mode)
	case !t.Mode.Told() && (t.Endpoint != "" || len(t.Allow) > 0):
		return errors.New("has a notification endpoint, at which it is told nothing while it polls")
	case t.Signed != "" && !t.Signed.Supported():
		return fmt.Errorf("signs with the unknown algorithm %q", t.Signed)
	case t.Signed != "" && !keys:
		return errors.New("signs its requests, for which it needs keys")
	}
	for issuer, keys := range t.HintIssuers {
		if issuer == "" || len(keys) == 0 {
			return fmt.Errorf("believes hints of %q, who has no name or no key", issuer)
		}
		for _, key := range keys {
			if err := key.Check(); err != nil {
				return fmt.Errorf("believes hints of %q, who has an unfit key: %w", issuer, err)
			}
		}
	}
	return nil
}
