// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
)

// Kind is that of callbacks in the outbox.
const Kind = "callback"

// Typ is the type of a callback's signature.
const Typ = "gatehouse-callback+jws"

// Header fields of a callback.
const (
	DeliveryField  = "Gatehouse-Delivery"
	SignatureField = "Gatehouse-Signature"
)

// Defaults and limits of a [Config].
const (
	DefaultTimeout = signedpost.DefaultTimeout
	// MaxAnswer is how much of an answer is read, in bytes: enough to see whether it is empty and to use the connection again.
	MaxAnswer = signedpost.MaxAnswer
)

// Notice is what a receiver is told.
type Notice struct {
	Operation string    `json:"operation"`
	Kind      string    `json:"kind"`
	State     string    `json:"state"`
	At        time.Time `json:"at"`
	// Alert says what somebody who watches over people should know; empty in what a client is told of its own operation.
	Alert string `json:"alert,omitempty"`
}

// payload is a notice on its way.
type payload struct {
	URL    string `json:"url"`
	Client string `json:"client,omitempty"`
	Notice Notice `json:"notice"`
}

// body is what is sent: a [Notice] with the id of its delivery.
type body struct {
	ID        string `json:"id"`
	Operation string `json:"operation"`
	Kind      string `json:"kind"`
	State     string `json:"state"`
	At        string `json:"at"`
	Alert     string `json:"alert,omitempty"`
}

// Item returns the outbox item of a notice to an address that a client has named, in line with the others of its operation. The id is
// drawn outside the closure that appends the item, and is what a receiver tells repetitions by.
func Item(id, client, address string, n Notice) (outbox.Item, error) {
	data, err := json.Marshal(payload{URL: address, Client: client, Notice: n})
	if err != nil {
		return outbox.Item{}, fmt.Errorf("writing a callback: %w", err)
	}
	return outbox.Item{Kind: Kind, Lane: laneOf(address), Key: n.Operation, ID: id, Payload: data, At: n.At}, nil
}

// Config is what a sender needs.
type Config struct {
	// Receivers are the addresses that may be called; no two are equal.
	Receivers []Receiver
	// Anywhere are the clients for which Receivers is no bound: what they name is called if it is https and public.
	Anywhere []string
	// Key returns the key that signs now; its public half is published by the issuer. Required.
	Key func() (jose.PrivateKey, error)
	// Now is the clock that dates in Retry-After are read by. Required.
	Now func() time.Time
	// Roots are the certificate authorities that may vouch for a receiver. Default: those of the system.
	Roots *x509.CertPool
	// Resolver looks names up. Default: the system's.
	Resolver *net.Resolver
	// Timeout bounds one call, from the connection to the last byte. Default: [DefaultTimeout].
	Timeout time.Duration
}

// Sender is the outbox handler for callbacks. It is safe for concurrent use.
type Sender struct {
	config    Config
	receivers map[string]*receiver
}

// receiver is one address with a client of its own.
type receiver struct {
	client  *signedpost.Client
	trouble trouble
}

var _ outbox.Handler = (*Sender)(nil)

// New returns a sender, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Sender, error) {
	if c.Key == nil || c.Now == nil {
		return nil, errors.New("building the sender of callbacks: a key and a clock are required")
	}
	if c.Timeout < 0 {
		return nil, errors.New("the time-out of callbacks is negative")
	}
	c.Anywhere = slices.Clone(c.Anywhere)
	s := &Sender{config: c, receivers: map[string]*receiver{}}
	for _, r := range c.Receivers {
		client, err := s.client(r)
		if err != nil {
			return nil, err
		}
		if _, twice := s.receivers[r.URL]; twice {
			return nil, fmt.Errorf("one address of the receiver at %q is given twice", client.Host())
		}
		s.receivers[r.URL] = &receiver{client: client}
	}
	return s, nil
}

func (s *Sender) client(r Receiver) (*signedpost.Client, error) {
	c := &s.config
	return signedpost.New(signedpost.Config{
		Receiver: r, Key: c.Key, Typ: Typ, Field: SignatureField, Now: c.Now, Roots: c.Roots, Resolver: c.Resolver, Timeout: c.Timeout,
	})
}

// Allowed reports whether a client may name an address: it is one of the configuration's, letter by letter, or the client is one of
// [Config].Anywhere and the address is https. Whether it is public is judged when it is connected to.
func (s *Sender) Allowed(client, address string) bool {
	if _, ok := s.receivers[address]; ok {
		return true
	}
	return s.anywhere(client, address)
}

func (s *Sender) anywhere(client, address string) bool {
	return client != "" && slices.Contains(s.config.Anywhere, client) && (&Receiver{URL: address}).Check() == nil
}

// Close lets go of connections that wait for the next call.
func (s *Sender) Close() {
	for _, r := range s.receivers {
		r.client.Close()
	}
}
