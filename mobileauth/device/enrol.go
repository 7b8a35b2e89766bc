// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Enrolment is what a device registers with.
type Enrolment struct {
	// Invitation is what the QR code said. Where the person typed the activation code, it holds the issuer, which the app
	// knows, and the code; the server's keys are then as good as the connection.
	Invitation envelope.Invitation
	// Application, Version and Platform name the app.
	Application, Version, Platform string
	// Model, OS and Name describe the phone to its owner.
	Model, OS, Name string
	// Handset tells this phone from others, for instance a random value that outlives the app; up to 256 bytes.
	Handset string
	// PIN becomes the knowledge factor; without one there is none.
	PIN string
	// Factors are further ones, "biometric" or "custom:NAME", whose secrets the vault will keep.
	Factors []string
	// Push is where notices go; without one the device has to ask.
	Push *envelope.PushAddress
}

func (e Enrolment) check(c Config) error {
	if err := checkIssuer(e.Invitation.Issuer); err != nil {
		return err
	}
	if e.Application == "" || e.Version == "" || e.Platform == "" {
		return fmt.Errorf("registering without application, version or platform: %w", ErrInput)
	}
	if len(e.Factors) > 0 && c.Vault == nil {
		return fmt.Errorf("registering factors without a vault: %w", ErrInput)
	}
	for _, kind := range e.Factors {
		if !envelope.ValidFactor(kind) || kind == envelope.FactorPIN {
			return fmt.Errorf("registering the factor %q: %w", kind, ErrInput)
		}
	}
	if e.PIN != "" {
		return CheckPIN(e.PIN, envelope.PINPolicy{})
	}
	return nil
}

// Enrol registers this phone. The state was saved when it returns. While the answer says that the registration waits to be
// confirmed, the person compares [State].Digits, or types them, where it began; [Device.Refresh] tells when it is active.
//
// When it fails nothing is left behind here, and the person starts again with a new invitation: an activation code works once.
func Enrol(ctx context.Context, config Config, e Enrolment) (*Device, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	if err := e.check(config); err != nil {
		return nil, err
	}
	server, err := config.serverFor(ctx, e.Invitation)
	if err != nil {
		return nil, err
	}
	d := &Device{config: config, state: State{Version: stateVersion, Issuer: e.Invitation.Issuer, Keys: envelope.NewID()}}
	if d.keys, err = config.Keystore.Create(ctx, d.state.Keys); err != nil {
		return nil, fmt.Errorf("making the keys of a device: %w", err)
	}
	if err := d.enrol(ctx, e, server); err != nil {
		return nil, errors.Join(err, d.forget(ctx))
	}
	return d, nil
}

// serverFor returns the key to encrypt to: the one that the invitation names, if it names one. No signing key is trusted yet: the
// answer brings them.
func (c Config) serverFor(ctx context.Context, i envelope.Invitation) (envelope.ServerKeys, error) {
	published, err := c.fetchKeys(ctx, i.Issuer)
	if err != nil {
		return envelope.ServerKeys{}, err
	}
	if i.Key == "" && len(published.Enc) > 0 {
		return envelope.ServerKeys{Enc: published.Enc[:1]}, nil
	}
	key, ok := published.EncKey(i.Key)
	if !ok {
		return envelope.ServerKeys{}, ErrServerKey
	}
	return envelope.ServerKeys{Enc: []envelope.EncKey{key}}, nil
}

func (d *Device) enrol(ctx context.Context, e Enrolment, server envelope.ServerKeys) error {
	secrets, err := d.newSecrets(ctx, e)
	if err != nil {
		return err
	}
	public := d.keys.Public()
	evidence, err := d.config.Attest.about(ctx, e.Invitation.Code.AttestationChallenge(), public)
	if err != nil {
		return err
	}
	var key []byte
	if d.config.PGP != nil {
		key = d.config.PGP.Public()
	}
	r, err := d.config.send(ctx, parties{issuer: e.Invitation.Issuer, device: public.Sign.ID(), keys: d.keys, server: server},
		envelope.PathRegistrations, func(r envelope.Request, _ envelope.Keys) (any, error) {
			return envelope.Registration{
				Lookup: e.Invitation.Code.Lookup(), MAC: e.Invitation.Code.MAC(public, r.ID), Keys: public,
				Application: e.Application, Version: e.Version, Platform: e.Platform, Model: e.Model, OS: e.OS, Name: e.Name,
				Handset: e.Handset, Factors: secrets, Push: e.Push, Attestation: evidence, PGP: key,
			}, nil
		})
	if err != nil {
		return err
	}
	if err := outcome(r.Answer); err != nil {
		return err
	}
	var body envelope.RegistrationAnswer
	if err := r.Decode(&body); err != nil || body.Device == "" || r.ServerKeys == nil {
		return fmt.Errorf("reading the answer to a registration: a member is missing: %w", ErrAnswer)
	}
	if want := e.Invitation.Operation; body.Operation == "" || (want != "" && want != body.Operation) {
		return fmt.Errorf("reading the answer to a registration: another operation than the invitation's: %w", ErrAnswer)
	}
	if len(body.PGP) > 0 && d.config.PGP == nil {
		return fmt.Errorf("reading the answer to a registration: it asks for OpenPGP: %w", ErrAnswer)
	}
	return d.change(ctx, func(s *State) {
		s.PGP = body.PGP
		s.Device, s.Operation, s.Status, s.Policy = body.Device, body.Operation, body.Status, body.Policy
		s.Server, s.Skew = *r.ServerKeys, r.skew
		s.Digits = envelope.Digits(body.Operation, public, r.serverKey, r.request.ID)
		if s.PIN != nil {
			sealed := *s.PIN
			sealed.Statement = r.request.ID
			s.PIN = &sealed
		}
	})
}

// newSecrets draws the secrets of all factors, keeps them where they belong and returns them for the server.
func (d *Device) newSecrets(ctx context.Context, e Enrolment) (map[string]envelope.Secret, error) {
	secrets := make(map[string]envelope.Secret)
	if e.PIN != "" {
		secret, sealed, err := d.newPIN(e.PIN)
		if err != nil {
			return nil, err
		}
		secrets[envelope.FactorPIN], d.state.PIN = secret, sealed
	}
	for _, kind := range e.Factors {
		secret, err := envelope.NewSecret()
		if err != nil {
			return nil, err
		}
		name := d.state.Keys + "/" + kind
		if err := d.config.Vault.Put(ctx, name, secret); err != nil {
			return nil, fmt.Errorf("keeping the secret of %q: %w", kind, err)
		}
		if d.state.Vault == nil {
			d.state.Vault = make(map[string]string)
		}
		secrets[kind], d.state.Vault[kind] = secret, name
	}
	return secrets, nil
}

// newPIN draws a secret and seals it. A PIN never gets the secret that another one had.
func (d *Device) newPIN(pin string) (envelope.Secret, *SealedSecret, error) {
	secret, err := envelope.NewSecret()
	if err != nil {
		return envelope.Secret{}, nil, err
	}
	kdf := d.config.KDF
	if kdf == (KDF{}) {
		kdf = DefaultKDF
	}
	sealed, err := Seal(secret, pin, kdf)
	if err != nil {
		return envelope.Secret{}, nil, err
	}
	return secret, &sealed, nil
}

// forget removes keys and secrets.
func (d *Device) forget(ctx context.Context) error {
	errs := []error{d.config.Keystore.Delete(ctx, d.state.Keys)}
	if d.state.NextKeys != "" {
		errs = append(errs, d.config.Keystore.Delete(ctx, d.state.NextKeys))
	}
	for _, name := range d.state.Vault {
		errs = append(errs, d.config.Vault.Delete(ctx, name))
	}
	return errors.Join(errs...)
}
