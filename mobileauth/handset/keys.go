// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/storage"
)

// KeyOverlap is how long the keys that were replaced are accepted beside the new ones, so that a phone that did not learn
// that the server took them can still speak. The first message under the new keys ends it.
const KeyOverlap = 24 * time.Hour

// maxJWK bounds what is parsed: a public key on P-256 has some 130 bytes.
const maxJWK = 1 << 10

// jwk is a public key on P-256 (RFC 7518, section 6.2.1). Its members stand in the order of RFC 7638, section 3.
type jwk struct {
	Crv string `json:"crv"`
	Kty string `json:"kty"`
	X   string `json:"x"`
	Y   string `json:"y"`
	D   string `json:"d,omitempty"`
}

// ParseKey returns a public key on P-256 in the one form in which it is stored, and its thumbprint (RFC 7638). It refuses
// every other key, a point that is not on the curve, and a private key, with [ErrInvalid].
func ParseKey(raw json.RawMessage) (key json.RawMessage, thumbprint string, err error) {
	var k jwk
	if len(raw) > maxJWK || jose.UnmarshalObject(raw, &k) != nil {
		return nil, "", invalid("key", "not a JWK")
	}
	if k.Kty != "EC" || k.Crv != "P-256" || k.D != "" {
		return nil, "", invalid("key", "not a public key on P-256")
	}
	point := []byte{4} // uncompressed: SEC 1, section 2.3.3
	for _, coordinate := range []string{k.X, k.Y} {
		part, err := base64.RawURLEncoding.Strict().DecodeString(coordinate)
		if err != nil || len(part) != 32 {
			return nil, "", invalid("key", "a coordinate that is not 32 bytes in base64url")
		}
		point = append(point, part...)
	}
	if _, err := ecdh.P256().NewPublicKey(point); err != nil {
		return nil, "", invalid("key", "not a point on P-256")
	}
	key, err = json.Marshal(k)
	if err != nil {
		return nil, "", invalid("key", "not a JWK")
	}
	sum := sha256.Sum256(key)
	return key, base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// normalizeKeys brings the keys into their one form. A key that signs does not decrypt, nor the other way round.
func (d *Device) normalizeKeys() error {
	var err error
	if d.SignKey, d.SignKeyID, err = ParseKey(d.SignKey); err != nil {
		return err
	}
	if d.EncKey, d.EncKeyID, err = ParseKey(d.EncKey); err != nil {
		return err
	}
	switch {
	case d.SignKeyID == d.EncKeyID:
		return invalid("enc_key", "the same as the signing key")
	case len(d.PGP) > MaxPGP:
		return invalid("pgp", "longer than %d bytes", MaxPGP)
	case len(d.ServerKey) > MaxServerKey || len(d.PGPServerKey) > MaxServerKey:
		return invalid("server_key", "longer than %d bytes", MaxServerKey)
	case len(d.ServerKeyID) > 2*base64.RawURLEncoding.EncodedLen(sha256.Size):
		return invalid("server_key_id", "not a thumbprint")
	case len(d.OldKeys) > MaxOldKeys:
		return invalid("old_keys", "more than %d", MaxOldKeys)
	}
	return nil
}

// Keys returns the pair of public keys of which the signing key has the given thumbprint, if it is accepted at now: the
// current pair, or the one before it while the overlap lasts. What was signed by one key of a pair is answered to the
// other.
func (d *Device) Keys(kid string, now time.Time) (sign, enc json.RawMessage, ok bool) {
	if kid != "" && kid == d.SignKeyID {
		return d.SignKey, d.EncKey, true
	}
	for _, old := range d.OldKeys {
		if kid != "" && kid == old.Sign && old.SignKey != nil && now.Before(old.Until) {
			return old.SignKey, old.EncKey, true
		}
	}
	return nil, nil, false
}

// RollKeys gives d new keys, which the caller has seen proven: the statement was signed by the key with the thumbprint kid,
// the new key signed too. The old pair stays accepted for [KeyOverlap]. Only the current key may ask for it; under the old
// one the same request again, whose answer was lost, changes nothing and is no error. The caller stores d by [Store.Put].
func (s *Store) RollKeys(d *Device, kid string, sign, enc json.RawMessage) error {
	now := s.now()
	newSign, signThumb, err := ParseKey(sign)
	if err != nil {
		return err
	}
	newEnc, encThumb, err := ParseKey(enc)
	if err != nil {
		return err
	}
	had := d.thumbprints()
	switch _, _, known := d.Keys(kid, now); {
	case !known:
		return ErrUnusable
	case signThumb == d.SignKeyID && encThumb == d.EncKeyID:
		return nil
	case kid != d.SignKeyID:
		return ErrUnusable
	case slices.Contains(had, signThumb) || slices.Contains(had, encThumb):
		return invalid("key", "one that the device has or had")
	}
	old := OldKeys{
		Sign: d.SignKeyID, Enc: d.EncKeyID, Since: now, Until: now.Add(KeyOverlap), SignKey: d.SignKey, EncKey: d.EncKey,
	}
	d.forgetOldKeys(now)
	d.OldKeys = append([]OldKeys{old}, d.OldKeys...)
	d.OldKeys = d.OldKeys[:min(len(d.OldKeys), MaxOldKeys)]
	d.SignKey, d.EncKey, d.SignKeyID, d.EncKeyID = newSign, newEnc, signThumb, encThumb
	return nil
}

// forgetOldKeys ends every overlap: the thumbprints stay.
func (d *Device) forgetOldKeys(now time.Time) bool {
	kept, changed := make([]OldKeys, 0, len(d.OldKeys)+1), false
	for _, old := range d.OldKeys {
		if old.SignKey != nil {
			old.SignKey, old.EncKey, changed = nil, nil, true
			if now.Before(old.Until) {
				old.Until = now
			}
		}
		kept = append(kept, old)
	}
	d.OldKeys = kept
	return changed
}

// thumbprints are all keys that the record reserves.
func (d *Device) thumbprints() []string {
	all := []string{d.SignKeyID, d.EncKeyID}
	for _, old := range d.OldKeys {
		all = append(all, old.Sign, old.Enc)
	}
	return all
}

// endOverlap is called for a message signed by the key kid: the new key in use makes the old one unnecessary.
func (s *Store) endOverlap(tx storage.Tx, d *Device, kid string) error {
	if kid != d.SignKeyID || !d.forgetOldKeys(s.now()) {
		return nil
	}
	return s.put(tx, d, audit.Actor{By: "device:" + d.ID})
}
