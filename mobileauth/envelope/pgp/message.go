// SPDX-License-Identifier: Apache-2.0

package pgp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// ErrMessage is wrapped by every error about a message that is not taken.
var ErrMessage = errors.New("OpenPGP message refused")

// MaxMessage is the largest message, encrypted and decrypted, in bytes.
const MaxMessage = 64 << 10

// Seal signs a text with one key and encrypts it to another. The message is binary and not compressed, and its signature names for
// whom it is.
func Seal(text []byte, from PrivateKey, to PublicKey, now time.Time) ([]byte, error) {
	if from.entity == nil || to.entity == nil {
		return nil, fmt.Errorf("encrypting without a key: %w", ErrKey)
	}
	var buf bytes.Buffer
	at := later(from.valid(now), created(to.entity))
	w, err := openpgp.Encrypt(&buf, []*openpgp.Entity{to.entity}, nil, []*openpgp.Entity{from.entity}, nil, config(at))
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	// The signature and the tag are written here.
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	if buf.Len() > MaxMessage {
		return nil, fmt.Errorf("encrypting a message of %d bytes: %w", buf.Len(), ErrMessage)
	}
	return buf.Bytes(), nil
}

// Open decrypts a message and returns what is in it when it was encrypted to with alone, and signed by from alone. Errors wrap
// [ErrMessage]. When it was made is not judged: the envelope says so.
func Open(message []byte, with PrivateKey, from PublicKey, now time.Time) ([]byte, error) {
	if with.entity == nil || from.entity == nil || len(message) > MaxMessage {
		return nil, fmt.Errorf("opening a message of %d bytes, or without a key: %w", len(message), ErrMessage)
	}
	at := later(with.valid(now), created(from.entity)).Add(envelope.Window)
	// Without a prompt, a message under a password is an error.
	md, err := openpgp.ReadMessage(bytes.NewReader(message), openpgp.EntityList{with.entity, from.entity}, nil, config(at))
	if err != nil {
		return nil, fmt.Errorf("opening a message: %w: %w", err, ErrMessage)
	}
	// Nothing is verified before the end was read.
	text, err := io.ReadAll(io.LimitReader(md.UnverifiedBody, MaxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("opening a message: %w: %w", err, ErrMessage)
	}
	if err := judge(md, with, from); err != nil {
		return nil, err
	}
	if len(text) > MaxMessage {
		return nil, fmt.Errorf("opening a message of too much text: %w", ErrMessage)
	}
	return text, nil
}

// judge asks what the library reports and does not insist on.
func judge(md *openpgp.MessageDetails, with PrivateKey, from PublicKey) error {
	switch {
	case !md.IsEncrypted || md.IsSymmetricallyEncrypted || len(md.EncryptedToKeyIds) != 1:
		return fmt.Errorf("opening a message that is not encrypted to one key: %w", ErrMessage)
	case md.DecryptedWith.Entity != with.entity:
		return fmt.Errorf("opening a message that is encrypted to another key: %w", ErrMessage)
	case !modern(md.DecryptedWithAlgorithm):
		return fmt.Errorf("opening a message under another cipher than AES: %w", ErrMessage)
	case !md.IsSigned || len(md.SignatureCandidates) != 1:
		return fmt.Errorf("opening a message without one signature: %w", ErrMessage)
	case !md.IsVerified || md.SignatureError != nil || md.Signature == nil || md.SignedBy == nil:
		return fmt.Errorf("opening a message whose signature is not good: %w", ErrMessage)
	case md.SignedBy.Entity != from.entity:
		return fmt.Errorf("opening a message of somebody else: %w", ErrMessage)
	}
	return nil
}

func modern(c packet.CipherFunction) bool {
	return c == packet.CipherAES256 || c == packet.CipherAES192 || c == packet.CipherAES128
}

// Body is the body of a request or answer that is an OpenPGP message.
type Body struct {
	PGP envelope.Bytes `json:"pgp"`
}

// Channel encrypts and decrypts the bodies of one registration, on either side.
type Channel struct {
	own  PrivateKey
	peer PublicKey
}

// NewChannel takes this side's private key and the other side's public key, both binary.
func NewChannel(private, peer []byte) (*Channel, error) {
	own, err := ParsePrivate(private)
	if err != nil {
		return nil, err
	}
	other, err := ParsePublic(peer)
	if err != nil {
		return nil, err
	}
	return &Channel{own: own, peer: other}, nil
}

// Wrap turns a body into one that holds it encrypted.
func (c *Channel) Wrap(body any, now time.Time) (Body, error) {
	text := []byte(`{}`)
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return Body{}, fmt.Errorf("encoding a body: %w", err)
		}
	}
	message, err := Seal(text, c.own, c.peer, now)
	return Body{PGP: message}, err
}

// Unwrap turns a body that [Channel.Wrap] made into the one that it holds. A body in clear is refused.
func (c *Channel) Unwrap(body json.RawMessage, now time.Time) (json.RawMessage, error) {
	var wrapped Body
	if err := json.Unmarshal(body, &wrapped); err != nil || len(wrapped.PGP) == 0 {
		return nil, fmt.Errorf("opening a body that is no OpenPGP message: %w", ErrMessage)
	}
	text, err := Open(wrapped.PGP, c.own, c.peer, now)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(text, []byte("{")) || !json.Valid(text) {
		return nil, fmt.Errorf("opening a body that holds no object: %w", ErrMessage)
	}
	return text, nil
}

// Device is a phone's key, as mobileauth/device uses it.
type Device struct{ Key PrivateKey }

// Public returns the public half in binary, nil of no key.
func (d Device) Public() []byte {
	public, err := d.Key.Public().Marshal()
	if err != nil {
		return nil
	}
	return public
}

// Seal encrypts a body to the server's key, which is binary.
func (d Device) Seal(body, server []byte, now time.Time) ([]byte, error) {
	to, err := ParsePublic(server)
	if err != nil {
		return nil, err
	}
	return Seal(body, d.Key, to, now)
}

// Open decrypts a body that the server made.
func (d Device) Open(message, server []byte, now time.Time) ([]byte, error) {
	from, err := ParsePublic(server)
	if err != nil {
		return nil, err
	}
	return Open(message, d.Key, from, now)
}
