// SPDX-License-Identifier: Apache-2.0

package deviceapi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// call is a message whose sender is known: its signature was checked with a key of the device.
type call struct {
	request envelope.Request
	device  handset.Device
	keys    envelope.PublicKeys
	owed    owed
}

// message is what says who sent it, for the packages that accept it in their transaction.
func (c *call) message() handset.Message {
	return handset.Message{DeviceID: c.device.ID, KID: c.request.SigningKey, JTI: c.request.ID, IssuedAt: c.request.At}
}

// open reads a message down to whose it claims to be.
func (h *Handler) open(ctx context.Context, path, raw string) (envelope.Unverified, error) {
	var fault error
	key := func(kid string) (jose.DecryptionKey, bool) {
		k, found, err := h.privateKey(ctx, kid)
		fault = err
		return k, found && err == nil
	}
	u, err := envelope.OpenRequest(raw, envelope.Expected{Issuer: h.Issuer, Path: path, Now: h.Now(), Key: key})
	if fault != nil {
		return envelope.Unverified{}, fault
	}
	if err != nil {
		h.decoy.spend()
		return envelope.Unverified{}, h.blame(err, "")
	}
	return u, nil
}

// privateKey finds what a message was encrypted to: a key of everybody's, or that of one device alone.
func (h *Handler) privateKey(ctx context.Context, kid string) (jose.DecryptionKey, bool, error) {
	k, found, err := h.Keys.Find(ctx, kid)
	if err != nil || found {
		return k, found, err
	}
	d, err := h.Devices.ByServerKey(ctx, kid)
	if errors.Is(err, handset.ErrNotFound) {
		return jose.DecryptionKey{}, false, nil
	}
	if err != nil || len(d.ServerKey) == 0 {
		return jose.DecryptionKey{}, false, err // a deactivated device has lost the key that was made for it
	}
	k, err = jose.ParseDecryption(d.ServerKey)
	if err != nil {
		return jose.DecryptionKey{}, false, fmt.Errorf("reading the key for device %q: %w", d.ID, err)
	}
	return k, true, nil
}

// whose checks that the device which a message names has signed it, and counts the message. A device with a key of its own at
// the server is heard under no other: its messages cannot be read by whoever has the common key.
func (h *Handler) whose(ctx context.Context, u envelope.Unverified) (*call, error) {
	id, kid := u.Claimed()
	d, err := h.Devices.Get(ctx, id)
	if errors.Is(err, handset.ErrNotFound) {
		h.decoy.spend()
		return nil, &refusal{id, "unknown_device", err}
	}
	if err != nil {
		return nil, err
	}
	keys, known := h.Parsed.Keys(&d, kid, h.Now())
	if !known {
		h.decoy.spend()
		return nil, &refusal{id, string(envelope.ReasonSigningKey), errors.New("not a key of this device")}
	}
	request, err := u.Verify(d.ID, keys.Sign)
	if err != nil {
		return nil, h.blame(err, id)
	}
	if d.ServerKeyID != "" && request.ServerKey != d.ServerKeyID {
		return nil, &refusal{id, string(envelope.ReasonServerKey), errors.New("encrypted to the common key")}
	}
	if wait := h.Messages.Take(d.ID).Wait; wait > 0 {
		return nil, &haste{wait}
	}
	c := &call{request: request, device: d, keys: keys, owed: owe(request, &d, keys.Enc)}
	return c, h.unwrap(c)
}

// unwrap opens the body of a device that has OpenPGP keys. One in clear is refused: what the application is configured with is not
// for the phone to choose.
func (h *Handler) unwrap(c *call) error {
	if len(c.device.PGP) == 0 {
		return nil
	}
	if len(c.device.PGPServerKey) == 0 { // a deactivated device has lost the key that was made for it
		return &refusal{c.device.ID, "device_unusable", handset.ErrUnusable}
	}
	channel, err := c.owed.open()
	if err != nil {
		return err
	}
	if c.request.Body, err = channel.Unwrap(c.request.Body, h.Now()); err != nil {
		return &refusal{c.device.ID, "pgp", err}
	}
	return nil
}

// known are the server's keys that a device should know: its own where it has one, else those of everybody.
func (h *Handler) known(o *owed) envelope.ServerKeys {
	keys := h.published()
	if o.own {
		keys.Enc = nil
		if own, err := jose.ParseDecryption(o.serverKey); err == nil {
			keys.Enc = encKeys(own.Public())
		}
	}
	return keys
}

// publication is what the server's keys are for a phone. It is read when a key has come or gone: they are named by their
// thumbprints, so the same names are the same keys.
type publication struct {
	names []string
	keys  envelope.ServerKeys
}

// published returns the server's keys as everybody may know them.
func (h *Handler) published() envelope.ServerKeys {
	sign, enc := h.Signer.Publics(), h.Keys.Publics()
	names := make([]string, 0, len(sign)+1+len(enc))
	for _, k := range sign {
		names = append(names, k.KID)
	}
	names = append(names, "")
	for _, k := range enc {
		names = append(names, k.KID)
	}
	if last := h.last.Load(); last != nil && slices.Equal(last.names, names) {
		return last.keys
	}
	fresh := &publication{names: names, keys: envelope.ServerKeys{Sign: signKeys(sign...), Enc: encKeys(enc...)}}
	h.last.Store(fresh)
	return fresh.keys
}

func signKeys(publics ...jose.PublicKey) []envelope.SignKey {
	var keys []envelope.SignKey
	for _, k := range publics {
		if taken, err := envelope.SignKeyOf(k); err == nil {
			keys = append(keys, taken)
		}
	}
	return keys
}

func encKeys(publics ...jose.EncryptionKey) []envelope.EncKey {
	var keys []envelope.EncKey
	for _, k := range publics {
		if taken, err := envelope.EncKeyOf(k); err == nil {
			keys = append(keys, taken)
		}
	}
	return keys
}

// once accepts a message that has no effect: it was not seen by this node, and the device is not out.
func (h *Handler) once(c *call) error {
	if c.device.Status.Out() {
		return &refusal{c.device.ID, "device_unusable", handset.ErrUnusable}
	}
	if !h.asked.first(c.device.ID+"."+c.request.ID, h.Now()) {
		return &refusal{c.device.ID, "replay", handset.ErrReplay}
	}
	return nil
}
