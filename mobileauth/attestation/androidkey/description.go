// SPDX-License-Identifier: Apache-2.0

package androidkey

import (
	"encoding/asn1"
)

// Tags of an AuthorizationList.
const (
	tagPurpose         = 1
	tagAlgorithm       = 2
	tagAllApplications = 600
	tagOrigin          = 702
	tagRootOfTrust     = 704
	tagPatchLevel      = 706
	tagApplication     = 709
)

// Values of KeyMint.
const (
	purposeSign     = 2
	algorithmEC     = 3
	originGenerated = 0
	bootVerified    = 0
)

// Security levels.
const (
	levelSoftware  = 0
	levelTEE       = 1
	levelStrongBox = 2
)

// MaxExtension is the size of the largest extension that is read, in bytes.
const MaxExtension = 4 << 10

// description is what the extension says of a key.
type description struct {
	version        int64
	attestation    int64 // level of who speaks
	keyMint        int64 // level of who has the key
	challenge      []byte
	software, hard authorizations
}

// parseDescription reads the content of the extension: a KeyDescription.
func parseDescription(der []byte) (d description, err error) {
	if len(der) > MaxExtension {
		return d, errDER
	}
	data, err := one(der, asn1.TagSequence)
	if err != nil {
		return d, err
	}
	all, err := elements(data)
	if err != nil || len(all) != 8 {
		return d, errDER
	}
	for i, field := range []struct {
		tag  int
		into *int64
	}{
		{asn1.TagInteger, &d.version}, {asn1.TagEnum, &d.attestation}, {asn1.TagInteger, new(int64)}, {asn1.TagEnum, &d.keyMint},
	} {
		if *field.into, err = number(all[i], field.tag); err != nil {
			return d, err
		}
	}
	if max(d.attestation, d.keyMint) > levelStrongBox {
		return d, errDER
	}
	if d.challenge, err = content(all[4], asn1.TagOctetString); err != nil {
		return d, err
	}
	if _, err = content(all[5], asn1.TagOctetString); err != nil { // uniqueId
		return d, err
	}
	if d.software, err = authorizationList(all[6]); err != nil {
		return d, err
	}
	d.hard, err = authorizationList(all[7])
	return d, err
}

// level is the weaker of who speaks and who has the key.
func (d *description) level() int64 { return min(d.attestation, d.keyMint) }

// enforced is the list that the level answers for.
func (d *description) enforced() authorizations {
	if d.level() == levelSoftware {
		return d.software
	}
	return d.hard
}

// rootOfTrust is what a phone was started with.
type rootOfTrust struct {
	locked bool
	state  int64
}

// rootOfTrust reads it, and whether there is one.
func (a authorizations) rootOfTrust() (r rootOfTrust, found bool, err error) {
	raw, found := a[tagRootOfTrust]
	if !found {
		return r, false, nil
	}
	data, err := content(raw, asn1.TagSequence)
	if err != nil {
		return r, true, err
	}
	all, err := elements(data)
	if err != nil || len(all) != 3 && len(all) != 4 { // the fourth is there from version 3
		return r, true, errDER
	}
	for i, raw := range all {
		if i == 1 || i == 2 {
			continue
		}
		if _, err := content(raw, asn1.TagOctetString); err != nil {
			return r, true, err
		}
	}
	if r.locked, err = boolean(all[1]); err != nil {
		return r, true, err
	}
	r.state, err = number(all[2], asn1.TagEnum)
	return r, true, err
}

// application is the app that has the key: its packages, and the digests of the certificates that it was signed with.
type application struct {
	packages []string
	digests  [][]byte
}

// application reads the AttestationApplicationId, which the system writes and not the keystore, and whether there is one.
func (a authorizations) application() (app application, found bool, err error) {
	raw, found := a[tagApplication]
	if !found {
		return app, false, nil
	}
	inner, err := content(raw, asn1.TagOctetString)
	if err != nil {
		return app, true, err
	}
	data, err := one(inner, asn1.TagSequence)
	if err != nil {
		return app, true, err
	}
	both, err := elements(data)
	if err != nil || len(both) != 2 {
		return app, true, errDER
	}
	if app.packages, err = packages(both[0]); err != nil {
		return app, true, err
	}
	app.digests, err = digests(both[1])
	return app, true, err
}

func packages(raw asn1.RawValue) (names []string, err error) {
	all, err := set(raw)
	if err != nil {
		return nil, err
	}
	for _, raw := range all {
		data, err := content(raw, asn1.TagSequence)
		if err != nil {
			return nil, err
		}
		pair, err := elements(data)
		if err != nil || len(pair) != 2 {
			return nil, errDER
		}
		name, err := content(pair[0], asn1.TagOctetString)
		if err != nil {
			return nil, err
		}
		if _, err := number(pair[1], asn1.TagInteger); err != nil {
			return nil, err
		}
		names = append(names, string(name))
	}
	return names, nil
}

func digests(raw asn1.RawValue) (digests [][]byte, err error) {
	all, err := set(raw)
	if err != nil {
		return nil, err
	}
	for _, raw := range all {
		digest, err := content(raw, asn1.TagOctetString)
		if err != nil {
			return nil, err
		}
		digests = append(digests, digest)
	}
	return digests, nil
}

func set(raw asn1.RawValue) ([]asn1.RawValue, error) {
	data, err := content(raw, asn1.TagSet)
	if err != nil {
		return nil, err
	}
	return elements(data)
}
