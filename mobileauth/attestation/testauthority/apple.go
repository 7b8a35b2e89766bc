// SPDX-License-Identifier: Apache-2.0

package testauthority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Apple says what a phone with App Attest is to say. [AppAttest] has what a good phone says.
type Apple struct {
	// Key is the one of the Secure Enclave.
	Key *ecdsa.PrivateKey
	// App is the identifier of a team, a dot, and that of a bundle.
	App            string
	ClientDataHash []byte
	// AAGUID is "appattest" and seven zero bytes, or "appattestdevelop".
	AAGUID []byte
	// Counter is 0 in an object, and larger in every assertion.
	Counter uint32
	Flags   byte
	// Extensions are what follows the data, encoded; nothing where it is nil.
	Extensions []byte
	// Credential is the name of the key; the right one where it is nil. Other is a key that stands in the data in its place.
	Credential []byte
	Other      *ecdsa.PublicKey
	// Format and Nonce are those of the object and of the certificate; the right ones where they are empty.
	Format string
	Nonce  []byte
	// NotAfter is the end of the certificate; three days after its begin where it is zero.
	NotAfter time.Time
}

// AppAttest is what a phone says with a fresh key.
func AppAttest(app string, clientDataHash []byte) (Apple, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Apple{}, fmt.Errorf("drawing a key: %w", err)
	}
	return Apple{
		Key: key, App: app, ClientDataHash: clientDataHash, AAGUID: append([]byte("appattest"), make([]byte, 7)...), Flags: 0x40,
	}, nil
}

// KeyID is the name of the key.
func (p *Apple) KeyID() []byte {
	sum := sha256.Sum256(point(&p.Key.PublicKey))
	return sum[:]
}

func point(key *ecdsa.PublicKey) []byte {
	raw, err := key.Bytes()
	if err != nil {
		return nil // it is on P-256
	}
	return raw
}

var oidNonce = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, 2}

// Attest makes the object for a key.
func (a *Authority) Attest(p Apple) ([]byte, error) {
	between, signer, err := a.intermediate("App Attest")
	if err != nil {
		return nil, err
	}
	data, err := p.attested()
	if err != nil {
		return nil, err
	}
	nonce := p.Nonce
	if nonce == nil {
		nonce = hash(data, p.ClientDataHash)
	}
	now := a.Now()
	leaf := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{Organization}, CommonName: "App Attest"}, NotBefore: now.Add(-24 * time.Hour),
		NotAfter: now.Add(48 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: oidNonce, Value: der(asn1.TagSequence, true, Tagged(1, octets(nonce)))}},
	}
	if !p.NotAfter.IsZero() {
		leaf.NotAfter = p.NotAfter
	}
	c, err := certify(leaf, between, &p.Key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	format := p.Format
	if format == "" {
		format = "apple-appattest"
	}
	return cbor.Marshal(map[string]any{
		"fmt": format, "attStmt": map[string]any{"x5c": [][]byte{c.Raw, between.Raw}, "receipt": []byte{}}, "authData": data,
	})
}

// attested is the data of an object.
func (p *Apple) attested() ([]byte, error) {
	credential, key := p.Credential, p.Other
	if credential == nil {
		credential = p.KeyID()
	}
	if key == nil {
		key = &p.Key.PublicKey
	}
	xy := point(key)[1:]
	cose, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: xy[:32], -3: xy[32:]})
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	data := p.fixed()
	data = append(data, p.AAGUID...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(credential)))
	data = append(append(data, credential...), cose...)
	return append(data, p.Extensions...), nil
}

func (p *Apple) fixed() []byte {
	app := sha256.Sum256([]byte(p.App))
	return binary.BigEndian.AppendUint32(append(app[:], p.Flags), p.Counter)
}

// Assert makes an assertion.
func (p *Apple) Assert() ([]byte, error) {
	data := append(p.fixed(), p.Extensions...)
	message := sha256.Sum256(hash(data, p.ClientDataHash))
	signature, err := ecdsa.SignASN1(rand.Reader, p.Key, message[:])
	if err != nil {
		return nil, fmt.Errorf("making an assertion: %w", err)
	}
	return cbor.Marshal(map[string]any{"signature": signature, "authenticatorData": data})
}

func hash(data, clientDataHash []byte) []byte {
	sum := sha256.Sum256(append(append([]byte{}, data...), clientDataHash...))
	return sum[:]
}
