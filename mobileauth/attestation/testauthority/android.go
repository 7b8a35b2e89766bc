// SPDX-License-Identifier: Apache-2.0

package testauthority

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Android says what an Android keystore is to say of a key. [Keystore] has what a good phone says.
type Android struct {
	Key       *ecdsa.PublicKey
	Challenge []byte
	// Package is the app's, and Digest the SHA-256 of the certificate that it is signed with.
	Package string
	Digest  []byte
	// Level is that of whoever speaks, and KeyLevel that of whoever has the key: 0 software, 1 TEE, 2 StrongBox.
	Level, KeyLevel int
	// Origin is 0 for a key that was made there, and Purposes what it may do: 2 is to sign.
	Origin   int
	Purposes []int
	// Algorithm is 3 for ECDSA.
	Algorithm int
	// Unlocked says that the boot loader is open, and BootState what was started: 0 is verified. NoRoot leaves all of that out.
	Unlocked  bool
	BootState int
	NoRoot    bool
	// PatchLevel is the year and the month of the system's patches.
	PatchLevel int
	// Extra are further elements of the list that the hardware answers for: each is placed where its tag belongs.
	Extra map[int][]byte
	// Description is the whole extension in the place of all that; NoDescription leaves it out.
	Description   []byte
	NoDescription bool
	// Serials are those of the certificates, the phone's first, where they are not to be drawn.
	Serials map[int]*big.Int
	// Validity is that of the phone's certificate; 1970 to 2048 where it is zero, as phones say.
	NotBefore, NotAfter time.Time
}

// Keystore is what a phone with a locked boot loader says of a key in its trusted execution environment.
func Keystore(key *ecdsa.PublicKey, challenge []byte, name string, digest []byte) Android {
	return Android{
		Key: key, Challenge: challenge, Package: name, Digest: digest, Level: 1, KeyLevel: 1, Purposes: []int{2, 3}, Algorithm: 3,
		PatchLevel: 202611,
	}
}

var oidDescription = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}

// Certify makes the chain for a key: the phone's certificate, two intermediates and the root.
func (a *Authority) Certify(k Android) ([][]byte, error) {
	first, firstKey, err := a.intermediate("intermediate")
	if err != nil {
		return nil, err
	}
	second, secondKey, err := a.under(first, firstKey, "keystore")
	if err != nil {
		return nil, err
	}
	leaf, err := k.template()
	if err != nil {
		return nil, err
	}
	phone, err := certify(leaf, second, k.Key, secondKey)
	if err != nil {
		return nil, fmt.Errorf("certifying a key: %w", err)
	}
	return [][]byte{phone.Raw, second.Raw, first.Raw, a.Root.Raw}, nil
}

func (k *Android) template() (*x509.Certificate, error) {
	c := &x509.Certificate{
		SerialNumber: k.Serials[0], Subject: pkix.Name{CommonName: "Android Keystore Key", Organization: []string{Organization}},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2048, 1, 1, 0, 0, 0, 0, time.UTC), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if c.SerialNumber == nil {
		c.SerialNumber = big.NewInt(1)
	}
	if !k.NotBefore.IsZero() {
		c.NotBefore = k.NotBefore
	}
	if !k.NotAfter.IsZero() {
		c.NotAfter = k.NotAfter
	}
	if k.NoDescription {
		return c, nil
	}
	der := k.Description
	if der == nil {
		der = k.Describe()
	}
	c.ExtraExtensions = []pkix.Extension{{Id: oidDescription, Value: der}}
	return c, nil
}

// Describe returns the extension.
func (k *Android) Describe() []byte {
	return der(asn1.TagSequence, true,
		integer(300), enumerated(k.Level), integer(300), enumerated(k.KeyLevel), octets(k.Challenge), octets(nil),
		k.list(k.byApp(), k.level() == 0), k.list(nil, k.level() > 0))
}

func (k *Android) level() int { return min(k.Level, k.KeyLevel) }

// byApp are the elements that the system says, and not the keystore.
func (k *Android) byApp() map[int][]byte {
	app := der(asn1.TagSequence, true,
		der(asn1.TagSet, true, der(asn1.TagSequence, true, octets([]byte(k.Package)), integer(7))),
		der(asn1.TagSet, true, octets(k.Digest)))
	return map[int][]byte{701: integer(1_700_000_000_000), 709: octets(app)}
}

// list returns an AuthorizationList of elements, with those of the key where they belong into it.
func (k *Android) list(elements map[int][]byte, ofKey bool) []byte {
	all := map[int][]byte{}
	for tag, value := range elements {
		all[tag] = value
	}
	if ofKey {
		var purposes [][]byte
		for _, p := range k.Purposes {
			purposes = append(purposes, integer(p))
		}
		all[1], all[2], all[3] = der(asn1.TagSet, true, purposes...), integer(k.Algorithm), integer(256)
		all[10], all[503], all[702] = integer(1), der(asn1.TagNull, false), integer(k.Origin)
		all[706] = integer(k.PatchLevel)
		if !k.NoRoot && k.level() > 0 {
			all[704] = der(asn1.TagSequence, true, octets(make([]byte, 32)), boolean(!k.Unlocked), enumerated(k.BootState),
				octets(make([]byte, 32)))
		}
		for tag, value := range k.Extra {
			all[tag] = value
		}
	}
	var tags []int
	for tag := range all {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	var out [][]byte
	for _, tag := range tags {
		out = append(out, Tagged(tag, all[tag]))
	}
	return der(asn1.TagSequence, true, out...)
}

// Tagged returns an element under an explicit tag of a context.
func Tagged(tag int, element []byte) []byte {
	return raw(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: element})
}

func der(tag int, compound bool, parts ...[]byte) []byte {
	return raw(asn1.RawValue{Tag: tag, IsCompound: compound, Bytes: slices.Concat(parts...)})
}

func raw(v asn1.RawValue) []byte {
	out, err := asn1.Marshal(v)
	if err != nil {
		return nil // it has a class, a tag and bytes: nothing can be wrong with it
	}
	return out
}

func octets(data []byte) []byte { return der(asn1.TagOctetString, false, data) }

func enumerated(n int) []byte { return der(asn1.TagEnum, false, []byte{byte(n)}) }

func boolean(b bool) []byte {
	if b {
		return der(asn1.TagBoolean, false, []byte{0xff})
	}
	return der(asn1.TagBoolean, false, []byte{0})
}

func integer(n int) []byte {
	out, err := asn1.Marshal(n)
	if err != nil {
		return nil // an int has an encoding
	}
	return out
}
