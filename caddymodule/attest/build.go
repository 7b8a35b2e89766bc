// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/playintegrity"
)

// Parts are what verifiers are made with.
type Parts struct {
	Now func() time.Time
	// Secret resolves a secret of the configuration.
	Secret func(text, of string) (string, error)
}

// Build makes the verifiers of one platform, on which the app has an identifier. It reads the files that are configured, and resolves
// secrets.
func (c *Config) Build(identifier string, parts Parts) (v grading.Verifiers, err error) {
	now := parts.Now
	if c.AndroidKey != nil {
		if v.AndroidKey, err = c.AndroidKey.build(identifier, now); err != nil {
			return v, fmt.Errorf("android_key: %w", err)
		}
		if c.decides() && c.AndroidKey.Revoked == "" && google(v.AndroidKey.Roots) {
			return v, fmt.Errorf("android_key: %w", errNoList)
		}
	}
	if c.AppAttest != nil {
		if v.AppAttest, err = c.AppAttest.build(identifier, now); err != nil {
			return v, fmt.Errorf("app_attest: %w", err)
		}
	}
	if c.PlayIntegrity != nil {
		if v.PlayIntegrity, err = c.PlayIntegrity.build(identifier, parts); err != nil {
			return v, fmt.Errorf("play_integrity: %w", err)
		}
	}
	return v, nil
}

func (c *PlayIntegrity) build(identifier string, parts Parts) (*playintegrity.Verifier, error) {
	config := playintegrity.Config{Packages: c.Packages, MaxAge: time.Duration(c.MaxAge), Now: parts.Now}
	if len(config.Packages) == 0 {
		config.Packages = []string{identifier}
	}
	var err error
	if config.Digests, err = digests(c.Digests); err != nil {
		return nil, err
	}
	if config.DecryptionKey, err = key(parts, c.DecryptionKey, "decryption_key"); err != nil {
		return nil, err
	}
	der, err := key(parts, c.VerificationKey, "verification_key")
	if err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(der)
	verification, ok := public.(*ecdsa.PublicKey)
	if err != nil || !ok {
		return nil, errors.New("verification_key: it is no public key for ECDSA")
	}
	config.VerificationKey = verification
	return playintegrity.New(config)
}

// key reads one that stands in base64.
func key(parts Parts, text, name string) ([]byte, error) {
	text, err := parts.Secret(text, "play_integrity "+name)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%s: it is not base64", name)
	}
	return raw, nil
}

func (c *AppAttest) build(identifier string, now func() time.Time) (*appattest.Verifier, error) {
	config, err := c.config(identifier)
	if err != nil {
		return nil, err
	}
	believed, err := roots(c.Roots, appattest.Apple)
	if err != nil {
		return nil, err
	}
	config.Roots, config.Now = appattest.Pool(believed), now
	return appattest.New(config)
}

func (c *AndroidKey) build(identifier string, now func() time.Time) (*androidkey.Verifier, error) {
	config := androidkey.Config{Packages: c.Packages, PatchMonths: c.PatchMonths, Now: now}
	if len(config.Packages) == 0 {
		config.Packages = []string{identifier}
	}
	var err error
	if config.Digests, err = digests(c.Digests); err != nil {
		return nil, err
	}
	if config.Roots, err = roots(c.Roots, androidkey.Google); err != nil {
		return nil, err
	}
	if c.Revoked != "" && c.Revoked != nothingRevoked {
		list := &androidkey.StatusList{Path: c.Revoked, MaxAge: cmp.Or(time.Duration(c.RevokedMaxAge), listAge), Now: now}
		if err := list.Check(); err != nil {
			return nil, err
		}
		config.Revocations = list
	}
	return androidkey.New(config)
}

// google reports whether a key of Google's is among those that are believed.
func google(believed []*x509.Certificate) bool {
	shipped, err := androidkey.Google()
	return err != nil || slices.ContainsFunc(believed, func(root *x509.Certificate) bool {
		return slices.ContainsFunc(shipped, func(other *x509.Certificate) bool {
			return bytes.Equal(root.RawSubjectPublicKeyInfo, other.RawSubjectPublicKeyInfo)
		})
	})
}

// roots reads certificates from files, or takes those that ship.
func roots(files []string, shipped func() ([]*x509.Certificate, error)) ([]*x509.Certificate, error) {
	if len(files) == 0 {
		return shipped()
	}
	var all []*x509.Certificate
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("root: %w", err)
		}
		certificates, err := attestation.Certificates(text)
		if err != nil {
			return nil, fmt.Errorf("root %s: %w", file, err)
		}
		all = append(all, certificates...)
	}
	return all, nil
}
