// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Refresh asks what the server knows about this device, and keeps status and policy.
func (d *Device) Refresh(ctx context.Context) (envelope.DeviceAnswer, error) {
	r, err := d.call(ctx, envelope.PathDevice, plain(nil))
	if err != nil {
		return envelope.DeviceAnswer{}, err
	}
	var body envelope.DeviceAnswer
	if err := r.Decode(&body); err != nil || body.Status == "" {
		return envelope.DeviceAnswer{}, fmt.Errorf("reading what the server knows about this device: %w", ErrAnswer)
	}
	return body, d.change(ctx, func(s *State) { s.Status, s.Policy = body.Status, body.Policy })
}

// SetPush sets where notices go; nil stops them.
func (d *Device) SetPush(ctx context.Context, address *envelope.PushAddress) error {
	if err := address.Check(); err != nil {
		return fmt.Errorf("setting a push address: %w: %w", err, ErrInput)
	}
	_, err := d.call(ctx, envelope.PathPush, plain(envelope.PushRequest{Push: address}))
	return err
}

// ChangePIN sets another PIN, proven by the old one or by another factor. The new PIN comes with a new secret. When the error says
// that the answer was lost, the next use of a PIN finds out by itself which one counts.
func (d *Device) ChangePIN(ctx context.Context, proof Proof, pin string) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	if err := CheckPIN(pin, d.State().Policy.PIN); err != nil {
		return err
	}
	if err := d.settlePIN(ctx); err != nil {
		return err
	}
	proven, err := d.secrets(ctx, proof)
	if err != nil {
		return err
	}
	secret, sealed, err := d.newPIN(pin)
	if err != nil {
		return err
	}
	sealed.Statement = envelope.NewID()
	if err := d.change(ctx, func(s *State) { s.NextPIN = sealed }); err != nil {
		return err
	}
	_, err = d.say(ctx, envelope.PathFactor, stated{
		statement: envelope.Statement{Purpose: envelope.PurposeFactor, Kind: envelope.FactorPIN, SecretHash: secret.Hash()},
		proven:    proven, id: sealed.Statement, secret: &secret,
	})
	switch {
	case err == nil:
		return d.change(ctx, func(s *State) { s.PIN, s.NextPIN = sealed, nil })
	case definite(err):
		return errors.Join(err, d.change(ctx, func(s *State) { s.NextPIN = nil }))
	default:
		return err
	}
}

// AddFactor registers another factor than the PIN, whose secret the vault keeps, in the place of one of the same kind. When the
// error says that the answer was lost, the factor is gone here, and is added again: to guess which secret the server has would
// cost tries.
func (d *Device) AddFactor(ctx context.Context, proof Proof, kind string) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	if d.config.Vault == nil || !envelope.ValidFactor(kind) || kind == envelope.FactorPIN {
		return fmt.Errorf("adding the factor %q: %w", kind, ErrInput)
	}
	secret, err := envelope.NewSecret()
	if err != nil {
		return err
	}
	id := envelope.NewID()
	name, old := id+"/"+kind, d.State().Vault[kind]
	if err := d.config.Vault.Put(ctx, name, secret); err != nil {
		return fmt.Errorf("keeping the secret of %q: %w", kind, err)
	}
	_, err = d.say(ctx, envelope.PathFactor, stated{
		statement: envelope.Statement{Purpose: envelope.PurposeFactor, Kind: kind, SecretHash: secret.Hash()},
		proof:     proof, id: id, secret: &secret,
	})
	switch {
	case definite(err):
		return errors.Join(err, d.config.Vault.Delete(ctx, name))
	case err != nil:
		return errors.Join(err, d.setVault(ctx, kind, ""), d.config.Vault.Delete(ctx, name), d.config.Vault.Delete(ctx, old))
	}
	if err := d.setVault(ctx, kind, name); err != nil || old == "" {
		return err
	}
	return d.config.Vault.Delete(ctx, old)
}

// RemoveFactor takes another factor than the PIN away.
func (d *Device) RemoveFactor(ctx context.Context, proof Proof, kind string) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	name, ok := d.State().Vault[kind]
	if !ok || d.config.Vault == nil {
		return fmt.Errorf("removing the factor %q where there is none: %w", kind, ErrInput)
	}
	_, err := d.say(ctx, envelope.PathFactor, stated{
		statement: envelope.Statement{Purpose: envelope.PurposeFactor, Kind: kind}, proof: proof,
	})
	if err != nil {
		return err
	}
	if err := d.setVault(ctx, kind, ""); err != nil {
		return err
	}
	return d.config.Vault.Delete(ctx, name)
}

// setVault notes the name of a factor's secret; without a name the factor is gone.
func (d *Device) setVault(ctx context.Context, kind, name string) error {
	return d.change(ctx, func(s *State) {
		if name == "" {
			delete(s.Vault, kind)
			return
		}
		if s.Vault == nil {
			s.Vault = make(map[string]string)
		}
		s.Vault[kind] = name
	})
}

// RollKeys replaces both keys of the device. When the error says that the answer was lost, the device speaks with whichever pair
// the server takes, and a second call goes on with the pair that it had begun with.
func (d *Device) RollKeys(ctx context.Context, proof Proof) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	next, err := d.nextKeys(ctx)
	if err != nil {
		return err
	}
	public := next.Public()
	evidence, err := d.evidence(ctx, public)
	if err != nil {
		return err
	}
	_, err = d.say(ctx, envelope.PathKeys, stated{
		statement: envelope.Statement{Purpose: envelope.PurposeKeys, Keys: &public}, proof: proof, next: &next, evidence: evidence,
	})
	switch {
	case err == nil:
		return d.adopt(ctx, next)
	case d.speaksWith(next):
		return nil // an earlier attempt had reached the server
	case definite(err):
		return errors.Join(err, d.dropNext(ctx))
	default:
		return err
	}
}

// nextKeys returns the pair that is on its way, or makes one.
func (d *Device) nextKeys(ctx context.Context) (envelope.Keys, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next != nil {
		return *d.next, nil
	}
	name := envelope.NewID()
	keys, err := d.config.Keystore.Create(ctx, name)
	if err != nil {
		return envelope.Keys{}, fmt.Errorf("making the next keys of a device: %w", err)
	}
	if err := d.changeLocked(ctx, func(s *State) { s.NextKeys = name }); err != nil {
		return envelope.Keys{}, errors.Join(err, d.config.Keystore.Delete(ctx, name))
	}
	d.next = &keys
	return keys, nil
}

// adopt makes keys that the server took the device's, if they are the next ones.
func (d *Device) adopt(ctx context.Context, taken envelope.Keys) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil || !same(*d.next, taken) {
		return nil
	}
	old := d.state.Keys
	if err := d.changeLocked(ctx, func(s *State) { s.Keys, s.NextKeys = s.NextKeys, "" }); err != nil {
		return err
	}
	d.keys, d.next = *d.next, nil
	if err := d.config.Keystore.Delete(ctx, old); err != nil {
		return fmt.Errorf("forgetting the old keys of a device: %w", err)
	}
	return nil
}

// speaksWith reports whether these keys are the device's by now.
func (d *Device) speaksWith(keys envelope.Keys) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return same(d.keys, keys)
}

// dropNext forgets keys that the server refused.
func (d *Device) dropNext(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := d.state.NextKeys
	if err := d.changeLocked(ctx, func(s *State) { s.NextKeys = "" }); err != nil {
		return err
	}
	d.next = nil
	if err := d.config.Keystore.Delete(ctx, name); err != nil {
		return fmt.Errorf("forgetting keys that were refused: %w", err)
	}
	return nil
}

// Transfer invites another phone to take this one's place. It is shown the invitation as a QR code.
func (d *Device) Transfer(ctx context.Context, proof Proof) (envelope.TransferAnswer, error) {
	r, err := d.say(ctx, envelope.PathTransfer, stated{statement: envelope.Statement{Purpose: envelope.PurposeTransfer}, proof: proof})
	if err != nil {
		return envelope.TransferAnswer{}, err
	}
	var body envelope.TransferAnswer
	if err := r.Decode(&body); err != nil || body.Invitation == "" {
		return envelope.TransferAnswer{}, fmt.Errorf("reading an invitation: %w", ErrAnswer)
	}
	return body, nil
}

// Release lets a new device of the same user take part, or rejects it. [envelope.DeviceAnswer] says which ones wait.
func (d *Device) Release(ctx context.Context, proof Proof, target string, decision envelope.Decision) error {
	_, err := d.say(ctx, envelope.PathRelease, stated{
		statement: envelope.Statement{Purpose: envelope.PurposeDevice, Target: target, Decision: decision}, proof: proof,
	})
	return err
}

// Disconnect ends the registration and forgets keys and secrets. The state that was saved is of no use afterwards; the device is
// not to be used any more.
func (d *Device) Disconnect(ctx context.Context) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	_, err := d.say(ctx, envelope.PathDisconnect, stated{statement: envelope.Statement{Purpose: envelope.PurposeDisconnect}})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.forget(ctx)
}
