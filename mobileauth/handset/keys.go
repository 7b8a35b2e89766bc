// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/storage"
)

// KeyOverlap is how long the keys that were replaced are accepted beside the new ones, so that a phone that did not learn
// that the server took them can still speak. The first message under the new keys ends it.
const KeyOverlap = 24 * time.Hour

// parseKeys reads both keys of a pair. It refuses what is not on P-256, a private key, and one key for both uses.
func parseKeys(sign, enc json.RawMessage) (keys envelope.PublicKeys, err error) {
	if err := json.Unmarshal(sign, &keys.Sign); err != nil {
		return keys, invalid("sign_key", "not a public key for ES256")
	}
	if err := json.Unmarshal(enc, &keys.Enc); err != nil {
		return keys, invalid("enc_key", "not a public key for ECDH-ES on P-256")
	}
	if keys.Sign.ID() == keys.Enc.ID() {
		return keys, invalid("enc_key", "the same as the signing key")
	}
	return keys, nil
}

// SetKeys sets both keys of a device that is to be added.
func (d *Device) SetKeys(keys envelope.PublicKeys) (err error) {
	if d.SignKey, err = json.Marshal(keys.Sign); err != nil {
		return invalid("sign_key", "not a public key")
	}
	if d.EncKey, err = json.Marshal(keys.Enc); err != nil {
		return invalid("enc_key", "not a public key")
	}
	d.SignKeyID, d.EncKeyID = keys.Sign.ID(), keys.Enc.ID()
	return nil
}

// normalizeKeys brings the keys into their one form. A key that signs does not decrypt, nor the other way round.
func (d *Device) normalizeKeys() error {
	keys, err := parseKeys(d.SignKey, d.EncKey)
	if err != nil {
		return err
	}
	if err := d.SetKeys(keys); err != nil {
		return err
	}
	switch {
	case len(d.PGP) > MaxPGP:
		return invalid("pgp", "longer than %d bytes", MaxPGP)
	case len(d.ServerKey) > MaxServerKey || len(d.PGPServerKey) > MaxServerKey || len(d.PGPServer) > MaxServerKey:
		return invalid("server_key", "longer than %d bytes", MaxServerKey)
	case len(d.ServerKeyID) > maxServerKeyID:
		return invalid("server_key_id", "not a thumbprint")
	case len(d.OldKeys) > MaxOldKeys:
		return invalid("old_keys", "more than %d", MaxOldKeys)
	}
	return nil
}

// Keys returns the pair of public keys of which the signing key has the given thumbprint, if it is accepted at now: the
// current pair, or the one before it while the overlap lasts. What was signed by one key of a pair is answered to the
// other.
func (d *Device) Keys(kid string, now time.Time) (keys envelope.PublicKeys, ok bool) {
	keys, err := parseKeys(d.texts(kid, now))
	return keys, err == nil && kid != "" && keys.Sign.ID() == kid
}

// texts returns the pair that goes by the name of its signing key at now, nil for none.
func (d *Device) texts(kid string, now time.Time) (sign, enc json.RawMessage) {
	if kid == d.SignKeyID {
		return d.SignKey, d.EncKey
	}
	old := d.overlapping(kid, now)
	return old.SignKey, old.EncKey
}

func (d *Device) overlapping(kid string, now time.Time) OldKeys {
	for _, old := range d.OldKeys {
		if kid == old.Sign && old.SignKey != nil && now.Before(old.Until) {
			return old
		}
	}
	return OldKeys{}
}

// Speaks reports whether [Device.Keys] would find the key, and parses none: the keys of a stored record have their names.
func (d *Device) Speaks(kid string, now time.Time) bool {
	return kid != "" && (kid == d.SignKeyID || kid == d.overlapping(kid, now).Sign)
}

// RollKeys gives d new keys, which the caller has seen proven: the statement was signed by the key with the thumbprint kid,
// and by the new key too. The old pair stays accepted for [KeyOverlap]. Only the current key may ask for it; under the old
// one the same request again, whose answer was lost, changes nothing and is no error. The caller stores d by [Store.Put].
func (s *Store) RollKeys(d *Device, kid string, keys envelope.PublicKeys) error {
	now, had := s.now(), d.thumbprints()
	switch {
	case !d.Speaks(kid, now):
		return ErrUnusable
	case keys.Sign.ID() == d.SignKeyID && keys.Enc.ID() == d.EncKeyID:
		return nil
	case kid != d.SignKeyID:
		return ErrUnusable
	case slices.Contains(had, keys.Sign.ID()) || slices.Contains(had, keys.Enc.ID()):
		return invalid("keys", "one that the device has or had")
	}
	old := OldKeys{
		Sign: d.SignKeyID, Enc: d.EncKeyID, Since: now, Until: now.Add(KeyOverlap), SignKey: d.SignKey, EncKey: d.EncKey,
	}
	next := *d
	if err := next.SetKeys(keys); err != nil {
		return err
	}
	next.forgetOldKeys(now)
	next.OldKeys = append([]OldKeys{old}, next.OldKeys...)
	next.OldKeys = next.OldKeys[:min(len(next.OldKeys), MaxOldKeys)]
	*d = next
	return nil
}

// forgetOldKeys ends every overlap: the thumbprints stay.
func (d *Device) forgetOldKeys(now time.Time) (changed bool) {
	d.OldKeys = slices.Clone(d.OldKeys)
	for i := range d.OldKeys {
		old := &d.OldKeys[i]
		if old.SignKey == nil {
			continue
		}
		old.SignKey, old.EncKey, changed = nil, nil, true
		if now.Before(old.Until) {
			old.Until = now
		}
	}
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
	return s.Put(tx, d, audit.Actor{By: "device:" + d.ID})
}
