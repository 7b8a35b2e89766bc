// SPDX-License-Identifier: Apache-2.0

package apps

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
)

// checkAttestation refuses what nobody could show: evidence of a platform that is not there, and evidence that is required where
// nothing says how it is judged.
func (c *Config) checkAttestation() error {
	if len(c.Attestation) > 0 && c.Enrollment == nil {
		return errors.New("attestation says what is asked of phones, and there is no enrollment that registers any")
	}
	for _, platform := range slices.Sorted(maps.Keys(c.Attestation)) {
		if _, there := c.Platforms[platform]; !there {
			return fmt.Errorf("attestation %s: the application is not there for %q", platform, platform)
		}
		a := c.Attestation[platform]
		if err := a.Check(); err != nil {
			return fmt.Errorf("attestation %s: %w", platform, err)
		}
	}
	if c.Enrollment == nil || c.Enrollment.Attestation != enrolment.AttestationRequired {
		return nil
	}
	for _, platform := range slices.Sorted(maps.Keys(c.Platforms)) {
		if _, said := c.Attestation[platform]; !said {
			return fmt.Errorf("enrollment: attestation is required on %s, where nothing says how it is judged and no phone could be "+
				"registered: add \"attestation %s required { ... }\"", platform, platform)
		}
	}
	return nil
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
