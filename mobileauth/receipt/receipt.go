// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Types of the two objects that the server signs.
const (
	typReceipt     = "gatehouse-receipt+jwt"
	typCertificate = "gatehouse-receipt-key+jwt"
)

// version is that of both objects.
const version = 1

// Assurances of an approval.
const (
	SingleFactor = "single_factor" // the device alone
	TwoFactor    = "two_factor"    // the device, and a PIN, biometric or custom secret
)

// ErrInvalid is wrapped by every error about a receipt that proves nothing.
var ErrInvalid = errors.New("the receipt proves nothing")

// Facts are what a receipt is about.
type Facts struct {
	// Issuer is the server.
	Issuer string
	// Operation is the id of what was approved, Kind "authorisation" or "signature".
	Operation, Kind string
	// UserID is the person, ExternalRef the reference under which another system knows them.
	UserID, ExternalRef string
	// ClientID asked, under the reference ExternalID of its own.
	ClientID, ExternalID string
	// Display are the exact bytes that were shown.
	Display []byte
	// Method is how the person was proven: "possession" or the kind of factor.
	Method string
	// Created and Answered are when it was asked and approved, by the server's clock. Receipts keep seconds.
	Created, Answered time.Time
	// DeviceID approved; Application and Platform are what it said of itself.
	DeviceID, Application, Platform string
	// Attestation is what the device had shown of itself by then; the zero value is nothing.
	Attestation Attestation
	// Key is the device's public key, Statement what it signed.
	Key       envelope.SignKey
	Statement string
}

// Attestation is what somebody had vouched for.
type Attestation struct {
	// Format is the kind of evidence, Grade where the key was by it: "hardware", "tee" or "software".
	Format, Grade string
	// At is when the server had judged it, in seconds.
	At time.Time
}

// Factors are what was proven by a method.
func Factors(method string) []string {
	if method == envelope.MethodPossession {
		return []string{envelope.MethodPossession}
	}
	return []string{envelope.MethodPossession, method}
}

// Assurance is what a method amounts to.
func Assurance(method string) string {
	if method == envelope.MethodPossession {
		return SingleFactor
	}
	return TwoFactor
}

// claims are the payload of a receipt.
type claims struct {
	Version     int      `json:"v"`
	Issuer      string   `json:"iss"`
	ID          string   `json:"jti"`
	IssuedAt    int64    `json:"iat"`
	Subject     string   `json:"sub"`
	ExternalRef string   `json:"external_ref,omitempty"`
	ClientID    string   `json:"client_id,omitempty"`
	ExternalID  string   `json:"external_id,omitempty"`
	Kind        string   `json:"kind"`
	Display     string   `json:"display"`
	DisplayHash string   `json:"display_hash"`
	Method      string   `json:"method"`
	Factors     []string `json:"factors"`
	Assurance   string   `json:"assurance"`
	Created     int64    `json:"created"`
	Answered    int64    `json:"answered"`
	Device      device   `json:"device"`
	// Confirmation is for readers who know nothing of Device. Receipts that were made before it was there have none.
	Confirmation *confirmation `json:"cnf,omitempty"`
	Statement    string        `json:"statement"`
	Chain        chain         `json:"chain"`
}

// confirmation names the key that signed the statement, where every reader of JWTs looks for a key (RFC 7800 3.1). The member is that
// of RFC 9449 6.1, the thumbprint of RFC 7638.
type confirmation struct {
	Thumbprint string `json:"jkt"`
}

type device struct {
	ID          string          `json:"id"`
	Application string          `json:"application,omitempty"`
	Platform    string          `json:"platform,omitempty"`
	Key         json.RawMessage `json:"key"`
	Thumbprint  string          `json:"jkt"`
	Attestation *attested       `json:"attestation,omitempty"`
}

type attested struct {
	Format string `json:"format"`
	Grade  string `json:"grade"`
	At     int64  `json:"at"`
}

// claim is nil where nothing was shown.
func (a Attestation) claim() *attested {
	if a.Grade == "" {
		return nil
	}
	return &attested{Format: a.Format, Grade: a.Grade, At: a.At.Unix()}
}

// fact is the other way round.
func (a *attested) fact() Attestation {
	if a == nil {
		return Attestation{}
	}
	return Attestation{Format: a.Format, Grade: a.Grade, At: time.Unix(a.At, 0).UTC()}
}

// chain leads from the key that signed the receipt to the root.
type chain struct {
	Root        json.RawMessage `json:"root"`
	Certificate string          `json:"certificate"`
}

// certificateClaims are how the root vouches for a key.
type certificateClaims struct {
	Version   int             `json:"v"`
	Issuer    string          `json:"iss"`
	IssuedAt  int64           `json:"iat"`
	NotBefore int64           `json:"nbf"`
	NotAfter  int64           `json:"exp"`
	Key       json.RawMessage `json:"key"`
}

// Certificate is a root's word for one signing key, for one issuer and a time.
type Certificate struct {
	issuer              string
	root                jose.PublicKey
	key                 string // its thumbprint
	raw                 string
	notBefore, notAfter time.Time
}

// Validity is what a [Certificate] is good for.
type Validity struct {
	Issuer string
	// From and Until bound the times of the receipts that the key signs, in seconds.
	From, Until time.Time
}

// Certify has a root vouch for a signing key.
func Certify(root jose.PrivateKey, key jose.PublicKey, v Validity) (Certificate, error) {
	public, err := jose.MarshalPublic(key)
	if err != nil {
		return Certificate{}, fmt.Errorf("certifying a key for receipts: %w", err)
	}
	data, err := json.Marshal(certificateClaims{
		Version: version, Issuer: v.Issuer, IssuedAt: v.From.Unix(), NotBefore: v.From.Unix(), NotAfter: v.Until.Unix(), Key: public,
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("certifying a key for receipts: %w", err)
	}
	raw, err := jose.Sign(root, typCertificate, data)
	if err != nil {
		return Certificate{}, fmt.Errorf("certifying a key for receipts: %w", err)
	}
	return Certificate{
		issuer: v.Issuer, root: root.Public(), key: jose.Thumbprint(key), raw: raw,
		notBefore: time.Unix(v.From.Unix(), 0).UTC(), notAfter: time.Unix(v.Until.Unix(), 0).UTC(),
	}, nil
}

// Covers reports whether a receipt of that moment may be signed by that key under this certificate.
func (c *Certificate) Covers(root, key string, at time.Time) bool {
	at = time.Unix(at.Unix(), 0)
	return c.raw != "" && c.root.KID == root && c.key == key && !at.Before(c.notBefore) && at.Before(c.notAfter)
}

// Make signs a receipt. It refuses, wrapping [ErrInvalid], a key that the certificate does not cover.
func Make(f Facts, key jose.PrivateKey, c Certificate) (string, error) {
	if c.issuer != f.Issuer || !c.Covers(c.root.KID, jose.Thumbprint(key.Public()), f.Answered) {
		return "", fmt.Errorf("making a receipt with a key that is not certified for it: %w", ErrInvalid)
	}
	root, err := jose.MarshalPublic(c.root)
	if err != nil {
		return "", fmt.Errorf("making a receipt: %w", err)
	}
	jwk, err := json.Marshal(f.Key)
	if err != nil {
		return "", fmt.Errorf("making a receipt: %w", err)
	}
	data, err := encode(claims{
		Version: version, Issuer: f.Issuer, ID: f.Operation, IssuedAt: f.Answered.Unix(), Subject: f.UserID, ExternalRef: f.ExternalRef,
		ClientID: f.ClientID, ExternalID: f.ExternalID, Kind: f.Kind, Display: string(f.Display),
		DisplayHash: envelope.DisplayHash(f.Display), Method: f.Method, Factors: Factors(f.Method), Assurance: Assurance(f.Method),
		Created: f.Created.Unix(), Answered: f.Answered.Unix(),
		Device: device{
			ID: f.DeviceID, Application: f.Application, Platform: f.Platform, Key: jwk, Thumbprint: f.Key.ID(),
			Attestation: f.Attestation.claim(),
		},
		Confirmation: &confirmation{f.Key.ID()}, Statement: f.Statement, Chain: chain{Root: root, Certificate: c.raw},
	})
	if err != nil {
		return "", fmt.Errorf("making a receipt: %w", err)
	}
	receipt, err := jose.Sign(key, typReceipt, data)
	if err != nil {
		return "", fmt.Errorf("making a receipt: %w", err)
	}
	return receipt, nil
}

// encode leaves characters of HTML as they are: a receipt is as short as it can be, and readable.
func encode(c claims) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// consistent reports whether what is said of a method is what the method amounts to.
func (c *claims) consistent() bool {
	return envelope.ValidMethod(c.Method) && slices.Equal(c.Factors, Factors(c.Method)) && c.Assurance == Assurance(c.Method)
}
