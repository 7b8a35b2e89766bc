// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Keystore keeps the private keys of devices, in hardware where there is any.
type Keystore interface {
	// Create makes a signing and an encryption key under a name that is not taken.
	Create(ctx context.Context, name string) (envelope.Keys, error)
	// Load returns the keys of that name.
	Load(ctx context.Context, name string) (envelope.Keys, error)
	// Delete forgets them. Keys that are not there are no error.
	Delete(ctx context.Context, name string) error
}

// Vault keeps secrets that the phone itself gives out only to its person, by fingerprint or face.
type Vault interface {
	// Put keeps a secret under a name, in the place of another one.
	Put(ctx context.Context, name string, secret envelope.Secret) error
	// Get asks the person and returns the secret.
	Get(ctx context.Context, name string) (envelope.Secret, error)
	// Delete forgets it. A secret that is not there is no error.
	Delete(ctx context.Context, name string) error
}

// PGP is the device's OpenPGP key, for applications that encrypt with OpenPGP. mobileauth/envelope/pgp has one.
type PGP interface {
	// Public returns the public half, binary.
	Public() []byte
	// Seal signs a body and encrypts it to the server's key.
	Seal(body, server []byte, now time.Time) ([]byte, error)
	// Open decrypts a body that the server signed.
	Open(message, server []byte, now time.Time) ([]byte, error)
}

// Config is what a device works with.
type Config struct {
	// Client sends requests. Its timeout has to be longer than the longest wait of [Device.Pending]; redirects are never
	// followed.
	Client *http.Client
	// Keystore keeps the keys.
	Keystore Keystore
	// Vault keeps the secrets of other factors than the PIN. Without one there are none.
	Vault Vault
	// Now is the phone's clock. A wrong one is corrected by what the server says.
	Now func() time.Time
	// Save keeps the state. It is called before the state matters to the server and after each change, never by two at once.
	Save func(ctx context.Context, s State) error
	// PGP is needed for applications that encrypt with OpenPGP, and for no others.
	PGP PGP
	// KDF is the work of sealing a PIN; the zero value means [DefaultKDF].
	KDF KDF
	// Attest has the platform vouch for app and keys. Without it nothing is shown, which an operator may not take.
	Attest Attester
}

func (c Config) check() error {
	if c.Client == nil || c.Keystore == nil || c.Now == nil || c.Save == nil {
		return fmt.Errorf("making a device without client, keystore, clock or place for its state: %w", ErrInput)
	}
	if c.KDF != (KDF{}) {
		return c.KDF.check()
	}
	return nil
}

// State is all that a device remembers besides its keys. It is saved as JSON. It is private, for it says who the server is and
// which device this is, but it holds no secret that can be had without the PIN.
type State struct {
	Version int `json:"v"`
	// Issuer is the server, Device what this device is called there.
	Issuer string `json:"issuer"`
	Device string `json:"device"`
	// Operation is the registration, and Digits what to compare while it waits to be confirmed.
	Operation string `json:"operation"`
	Digits    string `json:"digits"`
	// Status and Policy are what the server said last.
	Status string          `json:"status"`
	Policy envelope.Policy `json:"policy"`
	// Server are the server's keys.
	Server envelope.ServerKeys `json:"server"`
	// Keys names the device's keys in the keystore. NextKeys names those that the server may have by now.
	Keys     string `json:"keys"`
	NextKeys string `json:"next_keys,omitempty"`
	// PIN is the sealed secret of the PIN, nil without one. NextPIN is one that the server may have by now.
	PIN     *SealedSecret `json:"pin,omitempty"`
	NextPIN *SealedSecret `json:"next_pin,omitempty"`
	// Vault names the secrets of the other factors in the vault, by factor.
	Vault map[string]string `json:"vault,omitempty"`
	// PGP is the server's OpenPGP key, where the application encrypts with OpenPGP.
	PGP envelope.Bytes `json:"pgp,omitempty"`
	// Skew is how far the server's clock is ahead of the phone's, in seconds.
	Skew int64 `json:"skew,omitempty"`
}

// stateVersion is the version of the state that this code writes and reads.
const stateVersion = 1

// clone returns a copy that shares nothing that is ever changed in place.
func (s State) clone() State {
	s.Vault = maps.Clone(s.Vault)
	s.Server.Sign, s.Server.Enc = slices.Clone(s.Server.Sign), slices.Clone(s.Server.Enc)
	return s
}

// Device is a registered device. It is safe for concurrent use.
type Device struct {
	config Config
	// changing is held by whoever changes keys or factors: one at a time, across its request.
	changing sync.Mutex

	mu    sync.Mutex
	state State
	keys  envelope.Keys
	next  *envelope.Keys // of state.NextKeys
	// said are answers to questions of which the server's answer was not heard, by what they say.
	said map[said]envelope.Statement
}

// said is what an answer to a question says.
type said struct{ operation, decision, reason, number, method, key string }

// Open returns the device of a state that was saved.
func Open(ctx context.Context, config Config, state State) (*Device, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	if state.Version != stateVersion || state.Device == "" || len(state.Server.Enc) == 0 {
		return nil, fmt.Errorf("opening the state of a device: not one of version %d: %w", stateVersion, ErrInput)
	}
	if err := checkIssuer(state.Issuer); err != nil {
		return nil, err
	}
	if len(state.PGP) > 0 && config.PGP == nil {
		return nil, fmt.Errorf("opening the state of a device that encrypts with OpenPGP without its key: %w", ErrInput)
	}
	for _, sealed := range []*SealedSecret{state.PIN, state.NextPIN} {
		if sealed != nil && sealed.check() != nil {
			return nil, fmt.Errorf("opening the state of a device: a sealed secret is malformed: %w", ErrInput)
		}
	}
	d := &Device{config: config, state: state.clone()}
	var err error
	if d.keys, err = config.Keystore.Load(ctx, state.Keys); err != nil {
		return nil, fmt.Errorf("loading the keys of a device: %w", err)
	}
	if state.NextKeys != "" {
		next, err := config.Keystore.Load(ctx, state.NextKeys)
		if err != nil {
			return nil, fmt.Errorf("loading the next keys of a device: %w", err)
		}
		d.next = &next
	}
	return d, nil
}

// State returns what the device remembers.
func (d *Device) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.clone()
}

// change alters the state and saves it. What cannot be saved is not changed.
func (d *Device) change(ctx context.Context, alter func(*State)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changeLocked(ctx, alter)
}

func (d *Device) changeLocked(ctx context.Context, alter func(*State)) error {
	state := d.state.clone()
	alter(&state)
	if err := d.config.Save(ctx, state); err != nil {
		return fmt.Errorf("saving the state of a device: %w", err)
	}
	d.state = state
	return nil
}
