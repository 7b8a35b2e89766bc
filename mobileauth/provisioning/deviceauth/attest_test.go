// SPDX-License-Identifier: Apache-2.0

package deviceauth_test

import (
	"context"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
)

// graded is a store of certificates whose keys were shown to be of a grade.
type graded struct {
	*judge
	grade attestation.Grade
}

func (g graded) Present(ctx context.Context, m provisioning.Message) (provisioning.Presence, error) {
	there, err := g.judge.Present(ctx, m)
	there.Certificate.Attestation = provisioning.Attested{Grade: g.grade}
	return there, err
}

// TestGradeOfADevice: the proof says it, and a realm may ask for one.
func TestGradeOfADevice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		grade, least attestation.Grade
		status       realm.Status
		want         string
	}{
		{"not asked for", attestation.TEE, "", realm.Accepted, "tee"},
		{"not asked for, and not known", "", "", realm.Accepted, ""},
		{"enough", attestation.TEE, attestation.TEE, realm.Accepted, "tee"},
		{"more than enough", attestation.Hardware, attestation.Software, realm.Accepted, "hardware"},
		{"too little", attestation.Software, attestation.TEE, realm.Refused, ""},
		{"nothing", "", attestation.Software, realm.Refused, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, err := deviceauth.New(deviceauth.Config{
				Certificates: graded{new(judge), tt.grade}, Audience: issuer, Mode: deviceauth.Auto, Entity: application, Minimum: tt.least,
			})
			must(t, err)
			_, in := ask(t, g)
			in.Fields = map[string]string{"answer": "signed"}
			credentials, _, err := g.Collect(t.Context(), in)
			must(t, err)
			got, err := g.Verify(t.Context(), credentials)
			if err != nil || got.Status != tt.status || got.Identity.Attestation != tt.want {
				t.Errorf("it is %+v, %v", got, err)
			}
			if stands := g.Stands(realm.Proof{Attestation: string(tt.grade)}); stands != (tt.status == realm.Accepted) {
				t.Errorf("a proof of before stands: %v", stands)
			}
			if got.Status == realm.Refused && (got.Reason != "attestation_grade" || !got.Blameless) {
				t.Errorf("it is refused with %+v", got)
			}
		})
	}
	for name, change := range map[string]func(*deviceauth.Config){
		"a grade that is none": func(c *deviceauth.Config) { c.Minimum = "gold" },
		"no grade":             func(c *deviceauth.Config) { c.Minimum = attestation.Unknown },
		"of no certificate":    func(c *deviceauth.Config) { c.Minimum, c.Mode = attestation.TEE, deviceauth.None },
	} {
		c := deviceauth.Config{Certificates: new(judge), Audience: issuer, Mode: deviceauth.Auto, Entity: application}
		change(&c)
		if _, err := deviceauth.New(c); err == nil {
			t.Errorf("%s: built", name)
		}
	}
}

// TestEvidenceIsHandedIn with the request, where it is asked for.
func TestEvidenceIsHandedIn(t *testing.T) {
	t.Parallel()
	j := new(judge)
	g, err := deviceauth.New(deviceauth.Config{
		Certificates: j, Audience: issuer, Mode: deviceauth.Auto, Entity: application, Attestation: provisioning.AttestationRequired,
	})
	must(t, err)
	asked, in := ask(t, g)
	if asked.Data["attestation"] != "required" || asked.Fields[len(asked.Fields)-1].Name != "evidence" {
		t.Errorf("it asks %+v", asked)
	}
	in.Fields = map[string]string{"answer": "signed", "csr": "AAAA", "evidence": `{"format":"x"}`}
	_, _, err = g.Collect(t.Context(), in)
	must(t, err)
	if len(j.asked) != 1 || string(j.asked[0].Evidence) != `{"format":"x"}` {
		t.Errorf("the store hears %+v", j.asked)
	}
	if asked, _ := ask(t, guest(t, j, deviceauth.Auto)); asked.Data["attestation"] != "" || len(asked.Fields) != 2 {
		t.Errorf("where nothing is asked it asks %+v", asked)
	}
}
