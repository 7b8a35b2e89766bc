// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

// certificateSamples are the pages about certificates as people meet them.
func certificateSamples(locale string) []sample {
	tablet := web.Certificate{
		ID: "ins_1", Entity: "application", App: "Example Bank", Model: `iPad "16,1"`, System: "iPadOS 26.1", Status: "valid",
		Grade: "hardware", URL: "/account/certificate?id=ins_1", Issued: when, Expires: when.AddDate(0, 3, 0),
	}
	return []sample{
		{name: "account-certificates", form: true, buttons: []string{"everywhere=all"}, page: web.AccountPage{
			Locale: locale, User: "Sanne de Vries", Action: "/account", Hidden: hidden, Message: web.MessageCertificateRemoved,
			Kind: web.KindSuccess, Certificates: &web.AccountCertificates{Certificates: []web.Certificate{
				tablet,
				{ID: "ins_2", Entity: "group", Group: "retail", App: "Example Shop", System: "Android", Status: "revoked", Revoked: when},
				{ID: "ins_3", Entity: "device", App: "Example Bank", Status: "expired", URL: "/account/certificate?id=ins_3"},
				{ID: "ins_4", Entity: "device", Status: "something new"}, {ID: "ins_5", Status: "authority_revoked", Grade: "something new"},
			}},
		}},
		{name: "account-certificates-none", form: true, page: web.AccountPage{
			Locale: locale, User: "Sanne de Vries", Action: "/account", Hidden: hidden, Certificates: &web.AccountCertificates{},
		}},
		{name: "certificate", form: true, buttons: []string{"remove_certificate=ins_1"}, page: web.CertificatePage{
			Locale: locale, Certificate: tablet, BackURL: "/account", Action: "/account/certificate", Hidden: hidden,
		}},
	}
}

func TestAccountPageWithoutCertificates(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	body := render(t, r, http.StatusOK, web.AccountPage{Action: "/account"}).Body.String()
	if strings.Contains(body, "certificate") {
		t.Errorf("the page speaks of certificates:\n%s", body)
	}
}

// What leads elsewhere is not sent.
func TestCertificatePagesThatAreWrong(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	for i, page := range []web.Page{
		web.CertificatePage{BackURL: "https://evil.example/", Action: "/account"}, web.CertificatePage{BackURL: "/account", Action: "//evil.example"},
		web.CertificatePage{BackURL: "/account", Action: "/account", Hidden: []web.Field{{}}},
		web.AccountPage{Action: "/account", Certificates: &web.AccountCertificates{Certificates: []web.Certificate{{URL: "//evil.example"}}}},
	} {
		if got := render(t, r, http.StatusOK, page).Code; got != http.StatusInternalServerError {
			t.Errorf("page %d: status %d", i, got)
		}
	}
}
