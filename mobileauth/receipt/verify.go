// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// maxRoots bounds what [ParseRoots] reads.
const maxRoots = 64 << 10

// Roots are the thumbprints (RFC 7638, SHA-256 in base64url) of the root keys that a verifier believes. They come from the
// operator of the server, by another way than the receipts.
type Roots map[string]bool

// ParseRoots reads pinned roots: thumbprints, one a line, with empty lines and lines that begin with "#" left out; or a JWK
// set. It refuses, wrapping [ErrInvalid], a text with anything else in it, and one without a root.
func ParseRoots(data []byte) (Roots, error) {
	if len(data) > maxRoots {
		return nil, fmt.Errorf("reading %d bytes of roots: %w", len(data), ErrInvalid)
	}
	roots := Roots{}
	if trimmed := bytes.TrimSpace(data); bytes.HasPrefix(trimmed, []byte("{")) {
		keys, err := jose.ParseSet(trimmed)
		if err != nil {
			return nil, fmt.Errorf("reading roots from a key set: %w: %w", ErrInvalid, err)
		}
		for _, k := range keys {
			roots[jose.Thumbprint(k)] = true
		}
	} else {
		for number, line := range strings.Split(string(data), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			sum, err := base64.RawURLEncoding.Strict().DecodeString(line)
			if err != nil || len(sum) != 32 {
				return nil, fmt.Errorf("reading roots: line %d is no thumbprint: %w", number+1, ErrInvalid)
			}
			roots[line] = true
		}
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("reading roots: there is none: %w", ErrInvalid)
	}
	return roots, nil
}

// String lists the thumbprints.
func (r Roots) String() string { return strings.Join(slices.Sorted(maps.Keys(r)), " ") }

// Receipt is one that was verified.
type Receipt struct {
	Facts
	// Root is the thumbprint of the root that vouches for it, SigningKey the name of the key that signed it.
	Root, SigningKey string
	// Shown is the display, read.
	Shown envelope.Display
	// Factors and Assurance are what the method amounts to.
	Factors   []string
	Assurance string
	// Signed is when the device made its statement, by the device's own clock.
	Signed time.Time
}

// Verify reads a receipt, checks every signature in it up to a pinned root, and that all that is said by one party is said by
// the other. It needs nothing but its arguments, whatever time it is. Everything that is wrong is [ErrInvalid].
func Verify(data []byte, roots Roots) (Receipt, error) {
	r, err := verify(strings.TrimSpace(string(data)), roots)
	if err != nil {
		return Receipt{}, fmt.Errorf("verifying a receipt: %w: %w", ErrInvalid, err)
	}
	return r, nil
}

func verify(raw string, roots Roots) (Receipt, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return Receipt{}, err
	}
	if !jose.EqualTyp(token.Header.Typ, typReceipt) {
		return Receipt{}, fmt.Errorf("it is of another type than %s", typReceipt)
	}
	var c claims
	if err := token.Claims(&c); err != nil {
		return Receipt{}, err
	}
	if c.Version != version {
		return Receipt{}, fmt.Errorf("version %d", c.Version)
	}
	root, key, err := c.Chain.check(&c, roots)
	if err != nil {
		return Receipt{}, err
	}
	if err := token.Verify(key); err != nil {
		return Receipt{}, err
	}
	r := Receipt{Root: root, SigningKey: key.KID, Factors: c.Factors, Assurance: c.Assurance}
	return r, r.read(&c)
}

// check follows the chain from a pinned root to the key that has to have signed the receipt.
func (ch *chain) check(c *claims, roots Roots) (thumbprint string, key jose.PublicKey, err error) {
	root, err := publicKey(ch.Root)
	if err != nil {
		return "", key, fmt.Errorf("reading the root key: %w", err)
	}
	// The key came with the receipt. It counts for nothing but that somebody else has told us its thumbprint.
	if thumbprint = jose.Thumbprint(root); thumbprint == "" || !roots[thumbprint] {
		return "", key, fmt.Errorf("no pinned root vouches for it")
	}
	token, err := jose.Parse(ch.Certificate)
	if err != nil {
		return "", key, fmt.Errorf("reading the certificate: %w", err)
	}
	if !jose.EqualTyp(token.Header.Typ, typCertificate) {
		return "", key, fmt.Errorf("the certificate is of another type than %s", typCertificate)
	}
	if err := token.Verify(root); err != nil {
		return "", key, fmt.Errorf("checking the certificate: %w", err)
	}
	var cert certificateClaims
	if err := token.Claims(&cert); err != nil {
		return "", key, fmt.Errorf("reading the certificate: %w", err)
	}
	switch {
	case cert.Version != version:
		return "", key, fmt.Errorf("certificate of version %d", cert.Version)
	case cert.Issuer != c.Issuer || c.Issuer == "":
		return "", key, fmt.Errorf("the certificate is for another issuer")
	case c.IssuedAt < cert.NotBefore || c.IssuedAt >= cert.NotAfter:
		return "", key, fmt.Errorf("the certificate is for another time")
	}
	if key, err = publicKey(cert.Key); err != nil {
		return "", key, fmt.Errorf("reading the certified key: %w", err)
	}
	return thumbprint, key, nil
}

// publicKey reads a key, under whatever name it has: what counts is the thumbprint, and the name in a header.
func publicKey(jwk json.RawMessage) (jose.PublicKey, error) {
	if len(jwk) == 0 {
		return jose.PublicKey{}, fmt.Errorf("it is missing: %w", jose.ErrKey)
	}
	return jose.ParsePublic(jwk)
}

// read takes the facts from claims that the server has signed, and holds them against what the device has.
func (r *Receipt) read(c *claims) error {
	var key envelope.SignKey
	if err := json.Unmarshal(c.Device.Key, &key); err != nil {
		return fmt.Errorf("reading the device's key: %w", err)
	}
	statement, err := envelope.ReadStatement(c.Statement, key)
	if err != nil {
		return fmt.Errorf("checking the device's statement: %w", err)
	}
	if r.Shown, err = envelope.ParseDisplay([]byte(c.Display), c.ID); err != nil {
		return fmt.Errorf("reading what was shown: %w", err)
	}
	for _, rule := range []struct {
		ok   bool
		what string
	}{
		{c.DisplayHash == envelope.DisplayHash([]byte(c.Display)), "the hash is not that of what was shown"},
		{statement.DisplayHash == c.DisplayHash, "the device signed something else"},
		{statement.Purpose == envelope.PurposeApproval && statement.Decision == envelope.Approve, "the device signed no approval"},
		{statement.Operation == c.ID, "the device approved another operation"},
		{statement.Device == c.Device.ID, "another device signed"},
		{statement.Audience == c.Issuer, "the device signed for another issuer"},
		{statement.Method == c.Method && c.consistent(), "the method is not the one that the device names"},
		{c.Device.Thumbprint == key.ID(), "the thumbprint is that of another key"},
		{c.Confirmation == nil || c.Confirmation.Thumbprint == key.ID(), "cnf names another key"},
		{r.Shown.Kind == c.Kind, "what was shown is of another kind"},
		{c.IssuedAt == c.Answered && c.Created == r.Shown.Created, "the times do not agree"},
		{c.Answered >= r.Shown.Created && c.Answered <= r.Shown.Expires, "it was not answered in time"},
		{c.Subject != "", "nobody approved it"},
	} {
		if !rule.ok {
			return fmt.Errorf("%s", rule.what)
		}
	}
	r.Facts = Facts{
		Issuer: c.Issuer, Operation: c.ID, Kind: c.Kind, UserID: c.Subject, ExternalRef: c.ExternalRef, ClientID: c.ClientID,
		ExternalID: c.ExternalID, Display: []byte(c.Display), Method: c.Method, Created: time.Unix(c.Created, 0).UTC(),
		Answered: time.Unix(c.Answered, 0).UTC(), DeviceID: c.Device.ID, Application: c.Device.Application,
		Platform: c.Device.Platform, Attestation: c.Device.Attestation.fact(), Key: key, Statement: c.Statement,
	}
	r.Signed = statement.At
	return nil
}

// Lines are what a person reads who was shown this: title, content, fields with their labels, and what else was shown or signed.
func (r *Receipt) Lines() []string {
	var lines []string
	if r.Shown.Title != "" {
		lines = append(lines, r.Shown.Title)
	}
	if r.Shown.Content != "" {
		lines = append(lines, strings.Split(r.Shown.Content, "\n")...)
	}
	for _, f := range r.Shown.Fields {
		value := f.Value
		if f.Currency != "" {
			value += " " + f.Currency
		}
		lines = append(lines, strings.TrimPrefix(f.Label+": "+value, ": "))
	}
	for _, more := range []string{r.Shown.Secure, r.Shown.Data} {
		if more != "" {
			lines = append(lines, strings.Split(more, "\n")...)
		}
	}
	return lines
}
