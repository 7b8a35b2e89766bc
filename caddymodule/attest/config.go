// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
)

// Config is what an application asks of the evidence of one platform.
type Config struct {
	// required (a phone that does not show what is asked for is refused), preferred (it waits in quarantine, and is refused when what
	// it shows is wrong) or record (whatever it shows is written down).
	Mode string `json:"mode"`
	// The least grade that will do: hardware, tee or software. Default: tee.
	Minimum string `json:"minimum,omitempty"`
	// How Android key attestation is judged. Default: not at all.
	AndroidKey *AndroidKey `json:"android_key,omitempty"`
	// How Apple's App Attest is judged. Default: not at all.
	AppAttest *AppAttest `json:"app_attest,omitempty"`
	// How verdicts of Google's Play Integrity are judged. Default: not at all.
	PlayIntegrity *PlayIntegrity `json:"play_integrity,omitempty"`
}

// PlayIntegrity says how verdicts of classic requests are judged, which are read here with keys of the Play Console's.
type PlayIntegrity struct {
	// The names of the packages. Default: the identifier of the platform.
	Packages []string `json:"packages,omitempty"`
	// The SHA-256 of the certificates that the app is signed with, in hexadecimal; colons may stand between the bytes.
	Digests []string `json:"digests,omitempty"`
	// The keys that the Play Console shows, in base64, usually {env.NAME} or {file.PATH}.
	DecryptionKey   string `json:"decryption_key,omitempty"`
	VerificationKey string `json:"verification_key,omitempty"`
	// How old a verdict may be. Default: 10m.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

// AppAttest says how Apple's App Attest is judged.
type AppAttest struct {
	// The identifier of the team at Apple's: ten letters and digits.
	Team string `json:"team"`
	// The bundle identifier of the app. Default: the identifier of the platform.
	Bundle string `json:"bundle,omitempty"`
	// Where the app's keys are attested: production, or development for builds that run from Xcode. Default: production.
	Environment string `json:"environment,omitempty"`
	// Files with certificates in PEM that are believed. Default: that of Apple.
	Roots []string `json:"roots,omitempty"`
	// How the app may be signed, where the phone says it, from iOS 27 on: app_store, testflight, development, enterprise, developer_id, os or
	// other. Default: app_store in production, and anything in development.
	Categories []string `json:"categories,omitempty"`
}

// AndroidKey says how Android key attestation is judged.
type AndroidKey struct {
	// The names of the packages that may have the key. Default: the identifier of the platform.
	Packages []string `json:"packages,omitempty"`
	// The SHA-256 of the certificates that the app is signed with, in hexadecimal; colons may stand between the bytes.
	Digests []string `json:"digests,omitempty"`
	// Files with certificates in PEM that are believed, by their keys. Default: those of Google.
	Roots []string `json:"roots,omitempty"`
	// The file with Google's list of certificates that were taken back, which is read again when it changes, or none. Required where
	// Google's roots are believed and the evidence decides anything.
	Revoked string `json:"revoked,omitempty"`
	// How old that file may be. Default: 168h.
	RevokedMaxAge caddy.Duration `json:"revoked_max_age,omitempty"`
	// How many months old the security patches of the phone may be. Default: any number.
	PatchMonths int `json:"patch_months,omitempty"`
}

// nothingRevoked stands in the place of a list for whoever wants none.
const nothingRevoked = "none"

// listAge is how old a list may be unless configured. Google's own tools fetch it every day or two.
const listAge = 7 * 24 * time.Hour

// errNoList is for a configuration that would believe every key which has leaked.
var errNoList = errors.New("with the keys of phones that have leaked anybody makes such evidence, and only Google's list tells it apart: " +
	"add \"revoked <file>\" with https://android.googleapis.com/attestation/status, which you fetch every day, or \"revoked none\"")

// Rule is what the registration of phones is told.
func (c *Config) Rule() enrolment.AttestationRule {
	return enrolment.AttestationRule{Mode: c.Mode, Minimum: attestation.Grade(cmp.Or(c.Minimum, string(attestation.TEE)))}
}

// Best is the best grade that anything which is configured can have.
func (c *Config) Best() attestation.Grade {
	switch {
	case c.AndroidKey != nil:
		return attestation.Hardware
	case c.AppAttest != nil, c.PlayIntegrity != nil:
		return attestation.TEE
	}
	return attestation.Unknown
}

// Check returns an error for what cannot be so, or could let nobody in. It reads no file.
func (c *Config) Check() error {
	rule := c.Rule()
	switch {
	case c.Mode != enrolment.AttestationRequired && c.Mode != enrolment.AttestationPreferred && c.Mode != enrolment.AttestationRecord:
		return fmt.Errorf("%q is none of required, preferred and record", c.Mode)
	case !rule.Minimum.Valid() || rule.Minimum == attestation.Unknown:
		return fmt.Errorf("minimum %q is none of hardware, tee and software", c.Minimum)
	case c.Best() == attestation.Unknown:
		return errors.New("nothing says what evidence is believed: add android_key, app_attest or play_integrity")
	case !c.Best().AtLeast(rule.Minimum):
		return fmt.Errorf("nothing that is configured shows the grade %s: %s is the best", rule.Minimum, c.Best())
	}
	if c.AndroidKey != nil {
		if err := c.AndroidKey.check(); err != nil {
			return fmt.Errorf("android_key: %w", err)
		}
		if err := c.CheckDeciding(); c.decides() && err != nil {
			return err
		}
	}
	if c.AppAttest != nil {
		if _, err := c.AppAttest.config("bundle"); err != nil {
			return fmt.Errorf("app_attest: %w", err)
		}
	}
	if c.PlayIntegrity != nil {
		if err := c.PlayIntegrity.check(); err != nil {
			return fmt.Errorf("play_integrity: %w", err)
		}
	}
	return nil
}

// CheckDeciding refuses to have anything depend on evidence that whoever has a key which has leaked can make.
func (c *Config) CheckDeciding() error {
	if a := c.AndroidKey; a != nil && len(a.Roots) == 0 && a.Revoked == "" {
		return fmt.Errorf("android_key: %w", errNoList)
	}
	return nil
}

// decides reports whether anything depends on what is shown.
func (c *Config) decides() bool { return c.Mode != enrolment.AttestationRecord }

func (c *PlayIntegrity) check() error {
	if c.DecryptionKey == "" || c.VerificationKey == "" {
		return errors.New("it needs decryption_key and verification_key, which the Play Console shows")
	}
	if c.MaxAge < 0 {
		return errors.New("max_age is no less than nothing")
	}
	_, err := digests(c.Digests)
	return err
}

// team is how Apple names one.
var team = regexp.MustCompile(`^[A-Z0-9]{10}$`)

// categories are the words for how an app is signed.
var categories = map[string]appattest.Category{
	"os": appattest.OS, "testflight": appattest.TestFlight, "development": appattest.DevelopmentBuild, "app_store": appattest.AppStore,
	"enterprise": appattest.Enterprise, "developer_id": appattest.DeveloperID, "other": appattest.Other,
}

// config is everything but roots and clock.
func (c *AppAttest) config(identifier string) (config appattest.Config, err error) {
	config.App = c.Team + "." + cmp.Or(c.Bundle, identifier)
	config.Environment = appattest.Environment(cmp.Or(c.Environment, string(appattest.Production)))
	switch {
	case !team.MatchString(c.Team):
		return config, fmt.Errorf("team %q is not the identifier of one: ten letters and digits", c.Team)
	case config.Environment != appattest.Production && config.Environment != appattest.Development:
		return config, fmt.Errorf("environment %q is neither production nor development", c.Environment)
	}
	for _, name := range c.Categories {
		category, known := categories[name]
		if !known {
			return config, fmt.Errorf("category %q is none of %s", name, strings.Join(slices.Sorted(maps.Keys(categories)), ", "))
		}
		config.Categories = append(config.Categories, category)
	}
	if len(c.Categories) == 0 && config.Environment == appattest.Production {
		config.Categories = []appattest.Category{appattest.AppStore}
	}
	return config, nil
}

func (c *AndroidKey) check() error {
	if c.RevokedMaxAge != 0 && (c.Revoked == "" || c.Revoked == nothingRevoked) || c.RevokedMaxAge < 0 || c.PatchMonths < 0 {
		return errors.New("revoked needs a file, and its age and patch_months are no less than nothing")
	}
	_, err := digests(c.Digests)
	return err
}

// digests reads SHA-256 in hexadecimal, of which there has to be one.
func digests(texts []string) (all [][]byte, err error) {
	for _, text := range texts {
		digest, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
		if err != nil || len(digest) != sha256.Size {
			return nil, fmt.Errorf("digest %q is no SHA-256 in hexadecimal", text)
		}
		all = append(all, digest)
	}
	if len(all) == 0 {
		return nil, errors.New("it needs the digest of the certificate that the app is signed with")
	}
	return all, nil
}
