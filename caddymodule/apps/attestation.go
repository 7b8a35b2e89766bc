// SPDX-License-Identifier: Apache-2.0

package apps

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/realm/appauth"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
)

// checkAttestation refuses what nobody could show: evidence of a platform that is not there, and evidence that is required where
// nothing says how it is judged. It also refuses a requirement that nobody has to meet, beside a platform of which nothing is said.
func (c *Config) checkAttestation() error {
	for _, platform := range slices.Sorted(maps.Keys(c.Attestation)) {
		if _, there := c.Platforms[platform]; !there {
			return fmt.Errorf("attestation %s: the application is not there for %q", platform, platform)
		}
		a := c.Attestation[platform]
		if err := a.Check(); err != nil {
			return fmt.Errorf("attestation %s: %w", platform, err)
		}
	}
	if c.Enrollment == nil || c.Enrollment.Attestation != enrolment.AttestationRequired && c.Enrollment.Attestation != "" {
		return nil
	}
	for _, platform := range slices.Sorted(maps.Keys(c.Platforms)) {
		_, said := c.Attestation[platform]
		switch {
		case said:
		case c.Enrollment.Attestation == enrolment.AttestationRequired:
			return fmt.Errorf("enrollment: attestation is required on %s, where nothing says how it is judged and no phone could be "+
				"registered: add \"attestation %s required { ... }\"", platform, platform)
		case c.required() != "":
			return fmt.Errorf("attestation is required on %s and not asked for on %s, and a phone says by itself what it is: add "+
				"\"attestation %s required { ... }\" or, if that is meant, \"attestation record\" to enrollment", c.required(), platform, platform)
		}
	}
	return nil
}

// CheckUnused refuses an application of which something is said to be asked, while nothing asks: it registers no phones, and no realm and
// no authority wants evidence.
func CheckUnused(configs []Config, asked bool) error {
	for i := range configs {
		if c := &configs[i]; !asked && len(c.Attestation) > 0 && c.Enrollment == nil {
			return fmt.Errorf("application %q: attestation says what is asked of phones, and there is no enrollment that registers any", c.ID)
		}
	}
	return nil
}

// CheckAsked refuses a grade that is asked of an application, empty for any, and that nobody could show.
func CheckAsked(configs []Config, application string, least attestation.Grade) error {
	if !least.AtLeast(attestation.Software) {
		return fmt.Errorf("attestation %q: want hardware, tee or software", least)
	}
	shown := false
	for i := range configs {
		c := &configs[i]
		if application != "" && c.ID != application {
			continue
		}
		for _, platform := range slices.Sorted(maps.Keys(c.Attestation)) {
			rule := c.Attestation[platform]
			if err := rule.CheckDeciding(); err != nil {
				return fmt.Errorf("application %q: attestation %s: %w", c.ID, platform, err)
			}
			shown = shown || rule.Best().AtLeast(least)
		}
	}
	if !shown {
		return fmt.Errorf("attestation %s: nothing that is configured shows that grade: add attestation to an application", least)
	}
	return nil
}

// Genuine judges whether apps are what they say, by what is configured of their platforms.
type Genuine struct {
	// Issuer is for whom evidence is made.
	Issuer string
	grading.Grader
}

// App judges evidence that an app has made for an occasion, as the realm of that name asks for it.
func (g *Genuine) App(ctx context.Context, e appauth.Evidence, least string) (grade, reason string, err error) {
	shown, reason, err := g.Enough(ctx, &grading.Subject{
		Place: grading.Place{Application: e.Application, Platform: e.Platform}, Raw: e.Raw, Challenge: e.Bound, Bound: e.Bound, AnyKey: true,
	}, attestation.Grade(least))
	return string(shown), reason, err
}

// Instance judges evidence that an instance of an app has made for its registration and its key.
func (g *Genuine) Instance(ctx context.Context, e registration.Evidence, least string) (grade, reason string, err error) {
	shown, reason, err := g.Enough(ctx, &grading.Subject{
		Place: grading.Place{Application: e.Application, Platform: e.Platform}, Raw: e.Raw, Challenge: e.Challenge, Bound: e.Bound, Key: e.Key,
	}, attestation.Grade(least))
	return string(shown), reason, err
}

// AtLeast reports whether a grade is as good as another.
func AtLeast(grade, least string) bool {
	return attestation.Grade(grade).AtLeast(attestation.Grade(least))
}

// required returns the first platform on which evidence is required; empty where it is on none.
func (c *Config) required() string {
	for _, platform := range slices.Sorted(maps.Keys(c.Attestation)) {
		if c.Attestation[platform].Mode == enrolment.AttestationRequired {
			return platform
		}
	}
	return ""
}

// Grader makes the grader of all apps. It reads the files that are configured, and resolves secrets.
func Grader(configs []Config, parts attest.Parts) (grading.Grader, error) {
	g := grading.Grader{}
	for i := range configs {
		c := &configs[i]
		for _, platform := range slices.Sorted(maps.Keys(c.Attestation)) {
			a := c.Attestation[platform]
			verifiers, err := a.Build(c.Platforms[platform], parts)
			if err != nil {
				return nil, fmt.Errorf("application %q: attestation %s: %w", c.ID, platform, err)
			}
			g[grading.Place{Application: c.ID, Platform: platform}] = verifiers
		}
	}
	return g, nil
}
