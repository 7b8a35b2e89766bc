// SPDX-License-Identifier: Apache-2.0

package appattest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

// Format is the name of the evidence, and what stands in the object.
const Format = "apple-appattest"

// Limits on what is read, in bytes.
const (
	MaxObject      = 16 << 10
	MaxAssertion   = 2 << 10
	maxCertificate = 4 << 10
)

// Environment is where a key was attested.
type Environment string

// The environments.
const (
	Production  Environment = "production"
	Development Environment = "development"
)

// aaguid is how the environment stands in the object.
func (e Environment) aaguid() []byte {
	switch e {
	case Production:
		return append([]byte("appattest"), make([]byte, 7)...)
	case Development:
		return []byte("appattestdevelop")
	}
	return nil
}

// Category says how an app was signed, since iOS 27.
type Category uint32

// The categories.
const (
	OS               Category = 1
	TestFlight       Category = 2
	DevelopmentBuild Category = 3
	AppStore         Category = 4
	Enterprise       Category = 5
	DeveloperID      Category = 6
	Other            Category = 10
)

// Reasons of rejections.
const (
	ReasonObject      = "object"      // no object of the format
	ReasonChain       = "chain"       // certificates that lead to no root that is believed, or are not valid now
	ReasonNonce       = "nonce"       // evidence for another occasion, or about other keys
	ReasonKey         = "key"         // another key than the one that is named
	ReasonApplication = "application" // another app
	ReasonEnvironment = "environment" // a key of the other environment
	ReasonCounter     = "counter"     // evidence that is older than what was seen already
	ReasonCategory    = "category"    // an app that was signed in another way than is allowed
	ReasonSignature   = "signature"   // an assertion that the key did not make
)

// Config describes a [Verifier].
type Config struct {
	// Roots are believed. Required.
	Roots *x509.CertPool
	// App is the app: the identifier of its team, a dot, and its bundle identifier. Required.
	App string
	// Environment is the one whose keys are taken. Required.
	Environment Environment
	// Categories are those that are allowed where the phone says one; empty is all.
	Categories []Category
	// Now is required.
	Now func() time.Time
}

// Verifier judges objects and assertions. It is safe for concurrent use.
type Verifier struct {
	Config
	app [sha256.Size]byte
}

// New returns a verifier, or an error that says what is missing.
func New(c Config) (*Verifier, error) {
	if c.Roots == nil || c.App == "" || c.Environment.aaguid() == nil || c.Now == nil {
		return nil, errors.New("judging App Attest: roots, an app, an environment and a clock are required")
	}
	return &Verifier{Config: c, app: sha256.Sum256([]byte(c.App))}, nil
}

// Attested is a key that Apple has certified.
type Attested struct {
	// KeyID names the key: the SHA-256 of its point.
	KeyID []byte
	// Key makes the assertions that follow.
	Key *ecdsa.PublicKey
	// BundleVersion and Category are what the phone says of the app; empty and zero where it says nothing.
	BundleVersion string
	Category      Category
}

// Attest judges an object in which Apple certifies the key of that name, for client data with that hash. The certificates live
// for three days: it is judged when it is received, and not again. What is wrong is an [attestation.Rejection].
func (v *Verifier) Attest(raw, keyID, clientDataHash []byte) (Attested, error) {
	if len(raw) > MaxObject {
		return Attested{}, attestation.Reject(ReasonObject, "reading an object of %d bytes", len(raw))
	}
	var o object
	if err := strict.Unmarshal(raw, &o); err != nil {
		return Attested{}, attestation.Reject(ReasonObject, "reading an object: %w", err)
	}
	if o.Format != Format {
		return Attested{}, attestation.Reject(ReasonObject, "reading an object of another format")
	}
	leaf, err := v.chain(o.Statement.Chain)
	if err != nil {
		return Attested{}, err
	}
	nonce := digest(o.AuthData, clientDataHash)
	if certified, ok := nonceOf(leaf); !ok || subtle.ConstantTimeCompare(certified, nonce) != 1 {
		return Attested{}, attestation.Reject(ReasonNonce, "judging an object for other client data")
	}
	key, point, err := pointOf(leaf)
	if err != nil {
		return Attested{}, err
	}
	if sum := sha256.Sum256(point); !bytes.Equal(sum[:], keyID) {
		return Attested{}, attestation.Reject(ReasonKey, "judging a certificate of another key than is named")
	}
	data, err := readAttested(o.AuthData)
	if err != nil {
		return Attested{}, attestation.Reject(ReasonObject, "reading the data of an authenticator: %w", err)
	}
	if err := v.checkAttested(&data, keyID, point); err != nil {
		return Attested{}, err
	}
	category, err := v.category(&data)
	return Attested{KeyID: bytes.Clone(keyID), Key: key, BundleVersion: data.extensions.BundleVersion, Category: category}, err
}

// checkAttested compares what the phone says with what is known, in the order of Apple's steps 6 to 9.
func (v *Verifier) checkAttested(data *authData, keyID, point []byte) error {
	switch {
	case !bytes.Equal(data.app, v.app[:]):
		return attestation.Reject(ReasonApplication, "judging a key of another app")
	case data.counter != 0:
		return attestation.Reject(ReasonCounter, "judging a key that was used already")
	case !bytes.Equal(data.aaguid, v.Environment.aaguid()):
		return attestation.Reject(ReasonEnvironment, "judging a key of another environment")
	case !bytes.Equal(data.credential, keyID), !bytes.Equal(data.point, point):
		return attestation.Reject(ReasonKey, "judging data about another key")
	}
	return nil
}

// Assert judges what a certified key has made for client data with that hash, after the assertion whose counter was the given one.
// It returns the new counter, which is larger: whoever keeps it does so in the transaction in which the old one was read.
func (v *Verifier) Assert(raw []byte, key *ecdsa.PublicKey, clientDataHash []byte, counter uint32) (uint32, error) {
	if len(raw) > MaxAssertion {
		return 0, attestation.Reject(ReasonObject, "reading an assertion of %d bytes", len(raw))
	}
	var a assertion
	if err := strict.Unmarshal(raw, &a); err != nil {
		return 0, attestation.Reject(ReasonObject, "reading an assertion: %w", err)
	}
	data, err := readAsserted(a.AuthData)
	if err != nil {
		return 0, attestation.Reject(ReasonObject, "reading the data of an authenticator: %w", err)
	}
	// The nonce is the message, and is hashed once more.
	message := sha256.Sum256(digest(a.AuthData, clientDataHash))
	switch {
	case key == nil || !ecdsa.VerifyASN1(key, message[:], a.Signature):
		return 0, attestation.Reject(ReasonSignature, "judging an assertion of another key, or for other client data")
	case !bytes.Equal(data.app, v.app[:]):
		return 0, attestation.Reject(ReasonApplication, "judging an assertion of another app")
	case data.counter <= counter:
		return 0, attestation.Reject(ReasonCounter, "judging an assertion that is not newer than the last one")
	}
	_, err = v.category(&data)
	return data.counter, err
}

// category refuses an app that was signed in a way that is not allowed. Phones before iOS 27 do not say it.
func (v *Verifier) category(data *authData) (Category, error) {
	raw := data.extensions.Category
	if raw == nil {
		return 0, nil
	}
	if len(raw) != 4 {
		return 0, attestation.Reject(ReasonObject, "reading a category of %d bytes", len(raw))
	}
	category := Category(binary.LittleEndian.Uint32(raw))
	if len(v.Categories) > 0 && !slices.Contains(v.Categories, category) {
		return 0, attestation.Reject(ReasonCategory, "judging an app of category %d", category)
	}
	return category, nil
}

func digest(data, clientDataHash []byte) []byte {
	h := sha256.New()
	h.Write(data)
	h.Write(clientDataHash)
	return h.Sum(nil)
}

// chain follows the two certificates to a root.
func (v *Verifier) chain(raw [][]byte) (*x509.Certificate, error) {
	if len(raw) != 2 {
		return nil, attestation.Reject(ReasonObject, "reading %d certificates and not two", len(raw))
	}
	var both [2]*x509.Certificate
	for i, der := range raw {
		if len(der) > maxCertificate {
			return nil, attestation.Reject(ReasonChain, "reading a certificate of %d bytes", len(der))
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, attestation.Reject(ReasonChain, "reading a certificate: %w", err)
		}
		both[i] = c
	}
	between := x509.NewCertPool()
	between.AddCert(both[1])
	_, err := both[0].Verify(x509.VerifyOptions{
		Roots: v.Roots, Intermediates: between, CurrentTime: v.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, attestation.Reject(ReasonChain, "following a chain: %w", err)
	}
	return both[0], nil
}

// oidNonce is the extension with the nonce.
var oidNonce = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, 2}

// nonceOf reads it: SEQUENCE { [1] EXPLICIT OCTET STRING }.
func nonceOf(leaf *x509.Certificate) (nonce []byte, found bool) {
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(oidNonce) {
			continue
		}
		var sequence, tagged, octets cryptobyte.String
		input := cryptobyte.String(e.Value)
		if !input.ReadASN1(&sequence, cbasn1.SEQUENCE) || !input.Empty() ||
			!sequence.ReadASN1(&tagged, cbasn1.Tag(1).ContextSpecific().Constructed()) || !sequence.Empty() ||
			!tagged.ReadASN1(&octets, cbasn1.OCTET_STRING) || !tagged.Empty() {
			return nil, false
		}
		return octets, true
	}
	return nil, false
}

// pointOf returns the certified key, and as an uncompressed point.
func pointOf(leaf *x509.Certificate) (*ecdsa.PublicKey, []byte, error) {
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, attestation.Reject(ReasonKey, "judging a certificate of a key that is not on P-256")
	}
	point, err := key.Bytes()
	if err != nil {
		return nil, nil, attestation.Reject(ReasonKey, "reading a key: %w", err)
	}
	return key, point, nil
}

// MarshalKey and [ParseKey] are how a key is kept between its object and its assertions: as a point.
func MarshalKey(key *ecdsa.PublicKey) ([]byte, error) {
	point, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return point, nil
}

// ParseKey reads what [MarshalKey] wrote.
func ParseKey(point []byte) (*ecdsa.PublicKey, error) {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	return key, nil
}
