// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// SignKey is the public half of a signing key, of a device or of the server: ES256, named by its RFC 7638 thumbprint. The zero
// key checks nothing.
type SignKey struct{ key jose.PublicKey }

// SignKeyOf takes a key from the server's ring. It refuses other algorithms than ES256 and other names than the thumbprint.
func SignKeyOf(k jose.PublicKey) (SignKey, error) {
	if err := k.Check(); err != nil || k.Alg != jose.ES256 {
		return SignKey{}, refuse(ReasonKeys, "taking a signing key: not for ES256")
	}
	thumbprint := jose.Thumbprint(k)
	if k.KID != "" && k.KID != thumbprint {
		return SignKey{}, refuse(ReasonKeys, "taking a signing key: its name is not its thumbprint")
	}
	k.KID = thumbprint
	return SignKey{key: k}, nil
}

// ID returns the thumbprint, "" for the zero key.
func (k SignKey) ID() string { return k.key.KID }

// Public returns the key for a library; nil for the zero key.
func (k SignKey) Public() *ecdsa.PublicKey {
	key, _ := k.key.Key.(*ecdsa.PublicKey) // an ES256 key is one
	return key
}

// MarshalJSON encodes the key as a public JWK.
func (k SignKey) MarshalJSON() ([]byte, error) { return jose.MarshalPublic(k.key) }

// UnmarshalJSON reads a public JWK.
func (k *SignKey) UnmarshalJSON(data []byte) error {
	read, err := jose.ParsePublic(data)
	if err != nil {
		return refuse(ReasonKeys, "reading a signing key: %w", err)
	}
	*k, err = SignKeyOf(read)
	return err
}

// EncKey is the public half of an encryption key, of a device or of the server: ECDH-ES on P-256, named by its thumbprint.
type EncKey struct{ key jose.EncryptionKey }

// EncKeyOf takes a key of the server's. It refuses another name than the thumbprint.
func EncKeyOf(k jose.EncryptionKey) (EncKey, error) {
	thumbprint := k.Thumbprint()
	if thumbprint == "" || k.KID != thumbprint {
		return EncKey{}, refuse(ReasonKeys, "taking an encryption key: not on P-256, or its name is not its thumbprint")
	}
	return EncKey{key: k}, nil
}

// ID returns the thumbprint, "" for the zero key.
func (k EncKey) ID() string { return k.key.KID }

// MarshalJSON encodes the key as a public JWK.
func (k EncKey) MarshalJSON() ([]byte, error) { return jose.MarshalEncryption(k.key) }

// UnmarshalJSON reads a public JWK.
func (k *EncKey) UnmarshalJSON(data []byte) error {
	read, err := jose.ParseEncryption(data)
	if err != nil {
		return refuse(ReasonKeys, "reading an encryption key: %w", err)
	}
	*k, err = EncKeyOf(read)
	return err
}

// PublicKeys are the keys of one device.
type PublicKeys struct {
	Sign SignKey `json:"sign"`
	Enc  EncKey  `json:"enc"`
}

// UnmarshalJSON reads the two keys strictly: what a statement says about keys is read again years later, by others.
func (p *PublicKeys) UnmarshalJSON(data []byte) error {
	type plain PublicKeys
	return decode(data, (*plain)(p), ReasonKeys)
}

// check refuses keys that are missing, and one point for both purposes.
func (p PublicKeys) check() error {
	if p.Sign.ID() == "" || p.Enc.ID() == "" {
		return refuse(ReasonKeys, "checking keys of a device: one is missing")
	}
	if p.Sign.ID() == p.Enc.ID() {
		return refuse(ReasonKeys, "checking keys of a device: one key for signatures and encryption")
	}
	return nil
}

// Keys are the private keys of one device, or handles to them in its hardware.
type Keys struct {
	sign jose.PrivateKey
	enc  jose.DecryptionKey
}

// NewKeys takes a signing key, ECDSA on P-256, and an encryption key on P-256. It refuses other kinds, and one key for both.
func NewKeys(sign crypto.Signer, enc ecdh.KeyExchanger) (Keys, error) {
	if sign == nil || enc == nil {
		return Keys{}, refuse(ReasonKeys, "taking keys of a device: one is missing")
	}
	if public, ok := sign.Public().(*ecdsa.PublicKey); !ok || public == nil {
		return Keys{}, refuse(ReasonKeys, "taking keys of a device: the signing key is not ECDSA")
	}
	public, err := SignKeyOf(jose.PrivateKey{Alg: jose.ES256, Signer: sign}.Public())
	if err != nil {
		return Keys{}, err
	}
	decryption, err := jose.NewDecryption(enc)
	if err != nil {
		return Keys{}, refuse(ReasonKeys, "taking keys of a device: %w", err)
	}
	k := Keys{sign: jose.PrivateKey{KID: public.ID(), Alg: jose.ES256, Signer: sign}, enc: decryption}
	return k, k.Public().check()
}

// Public returns the halves that the server learns.
func (k Keys) Public() PublicKeys {
	return PublicKeys{Sign: SignKey{key: k.sign.Public()}, Enc: EncKey{key: k.enc.Public()}}
}

// ServerKeys are the server's public keys as a device knows them. In JSON it is a JWK set.
type ServerKeys struct {
	// Sign are the keys that answers may be signed by.
	Sign []SignKey
	// Enc are the keys that requests may be encrypted to; the first is the one to use.
	Enc []EncKey
}

// Digest names the set: base64url of SHA-256 over the identifiers, sorted, with a line feed behind each. Requests carry it as
// "known_keys", so that the server knows when to send the set again.
func (s ServerKeys) Digest() string {
	var names []string
	for _, k := range s.Sign {
		names = append(names, k.ID()+"\n")
	}
	for _, k := range s.Enc {
		names = append(names, k.ID()+"\n")
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "")))
	return b64.EncodeToString(sum[:])
}

// signKey returns the key of that name.
func (s ServerKeys) signKey(id string) (SignKey, bool) {
	i := slices.IndexFunc(s.Sign, func(k SignKey) bool { return k.ID() == id })
	if id == "" || i < 0 {
		return SignKey{}, false
	}
	return s.Sign[i], true
}

// EncKey returns the key of that name.
func (s ServerKeys) EncKey(id string) (EncKey, bool) {
	i := slices.IndexFunc(s.Enc, func(k EncKey) bool { return k.ID() == id })
	if id == "" || i < 0 {
		return EncKey{}, false
	}
	return s.Enc[i], true
}

// MarshalJSON encodes the keys as a JWK set.
func (s ServerKeys) MarshalJSON() ([]byte, error) {
	sign := make([]jose.PublicKey, len(s.Sign))
	for i, k := range s.Sign {
		sign[i] = k.key
	}
	enc := make([]jose.EncryptionKey, len(s.Enc))
	for i, k := range s.Enc {
		enc[i] = k.key
	}
	return jose.MarshalSet(sign, enc...)
}

// UnmarshalJSON reads a JWK set, the issuer's /jwks for one. Keys for other purposes and other algorithms are skipped, and so
// is a key that would serve for both because its purpose ("use") is not said.
func (s *ServerKeys) UnmarshalJSON(data []byte) error {
	sign, err := jose.ParseSet(data)
	if err != nil {
		return refuse(ReasonKeys, "reading keys of the server: %w", err)
	}
	enc, err := jose.ParseEncryptionSet(data)
	if err != nil {
		return refuse(ReasonKeys, "reading keys of the server: %w", err)
	}
	var read ServerKeys
	for _, k := range sign {
		taken, err := SignKeyOf(k)
		if err == nil && !slices.ContainsFunc(enc, func(e jose.EncryptionKey) bool { return e.Thumbprint() == taken.ID() }) {
			read.Sign = append(read.Sign, taken)
		}
	}
	for _, k := range enc {
		taken, err := EncKeyOf(k)
		if err == nil && !slices.ContainsFunc(sign, func(s jose.PublicKey) bool { return jose.Thumbprint(s) == taken.ID() }) {
			read.Enc = append(read.Enc, taken)
		}
	}
	*s = read
	return nil
}
