// SPDX-License-Identifier: Apache-2.0

package deviceapi

import (
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// owed is an answer that a phone has yet to get: what is known of its message, and all that is kept of it while the phone waits.
type owed struct {
	deviceID  string
	requestID string
	knownKeys string
	to        envelope.EncKey
	// own says that the server has a key for this device alone: serverKey, the private one.
	own       bool
	serverKey handset.Secret
	// pgp and pgpServer are the OpenPGP keys of the device and of the server for it, nil where there are none. The channel is what
	// they make, and is made again where it is nil.
	pgp       []byte
	pgpServer handset.Secret
	channel   *pgp.Channel
}

// owe begins the answer to a message of a device.
func owe(r envelope.Request, d *handset.Device, to envelope.EncKey) owed {
	return owed{
		deviceID: d.ID, requestID: r.ID, knownKeys: r.KnownKeys, to: to, own: d.ServerKeyID != "", serverKey: d.ServerKey,
		pgp: d.PGP, pgpServer: d.PGPServerKey,
	}
}

// pay seals what a phone is told.
func (h *Handler) pay(o *owed, out reply) (string, error) {
	if err := h.wrap(o, &out); err != nil {
		return "", err
	}
	request := envelope.Request{Device: o.deviceID, Audience: h.Issuer, ID: o.requestID, KnownKeys: o.knownKeys}
	return h.seal(request.Reply(h.Now(), h.known(o)), out, o.to)
}

// open returns the channel in which bodies are wrapped.
func (o *owed) open() (*pgp.Channel, error) {
	if o.channel != nil {
		return o.channel, nil
	}
	channel, err := pgp.NewChannel(o.pgpServer, o.pgp)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenPGP keys of device %q: %w", o.deviceID, err)
	}
	o.channel = channel
	return channel, nil
}

// wrap encrypts the body of an answer to a device that has OpenPGP keys, whatever the answer is.
func (h *Handler) wrap(o *owed, out *reply) error {
	if len(o.pgp) == 0 {
		return nil
	}
	channel, err := o.open()
	if err != nil {
		return err
	}
	body, err := channel.Wrap(out.body, h.Now())
	if err != nil {
		return fmt.Errorf("answering device %q: %w", o.deviceID, err)
	}
	out.body = body
	return nil
}

// seal signs and encrypts an answer.
func (h *Handler) seal(a envelope.Answer, out reply, to envelope.EncKey) (string, error) {
	signer, err := h.Signer.SignerFor(jose.ES256)
	if err != nil {
		return "", fmt.Errorf("answering a phone: %w", err)
	}
	a.Code = out.code
	return envelope.SealAnswer(a, out.body, signer, to)
}
