// SPDX-License-Identifier: Apache-2.0

package mobileauth_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth"
)

func TestNoticeIsInTheLanguageOfItsReader(t *testing.T) {
	t.Parallel()
	r := rule("1.*", mobileauth.Disabled)
	r.URL = "https://example.com/get"
	r.Messages = map[string]string{"de": "Bitte aktualisieren", "en": "Please update", "nl": "Werk de app bij", "pt-BR": "Atualize"}
	_, notice := inMemory(t, bank(r)).Status("bank", "ios", "1.2")
	if notice.URL != r.URL || notice.ID == "" {
		t.Errorf("the notice is %+v", notice)
	}
	for _, test := range []struct {
		name      string
		languages []string
		want      string
	}{
		{"theirs", []string{"nl"}, "nl"},
		{"of another country", []string{"de-AT"}, "de"},
		{"best first", []string{"fr, de;q=0.5, nl;q=0.8"}, "nl"},
		{"related", []string{"pt"}, "pt-BR"},
		{"of the second list", []string{"fr", "nl"}, "nl"},
		{"no list", nil, "en"},
		{"empty list", []string{"", "nl"}, "nl"},
		{"of nobody here", []string{"ja", "ko"}, "en"},
		{"malformed", []string{"nl;q=x", "de"}, "de"},
		{"not a language", []string{"!!", ""}, "en"},
		{"long", []string{strings.Repeat("nl,", 300), "de"}, "de"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := notice.Text(test.languages...); got != r.Messages[test.want] {
				t.Errorf("it says %q, want that of %s", got, test.want)
			}
		})
	}
}

func TestNoticeWithoutEnglish(t *testing.T) {
	t.Parallel()
	r := rule("1.*", mobileauth.Disabled)
	r.Messages = map[string]string{"nl": "Werk de app bij", "de": "Bitte aktualisieren"}
	_, notice := inMemory(t, bank(r)).Status("bank", "ios", "1.2")
	if got := notice.Text("ja"); got != r.Messages["de"] {
		t.Errorf("it says %q", got)
	}
}

func TestNothingToTell(t *testing.T) {
	t.Parallel()
	r := inMemory(t, bank(rule("1.*", mobileauth.Disabled), rule("2.*", mobileauth.Active)))
	for _, version := range []string{"1.0", "2.0", "3.0"} {
		_, notice := r.Status("bank", "ios", version)
		if notice.ID != "" || notice.URL != "" || notice.Text("en") != "" {
			t.Errorf("%s: the notice is %+v", version, notice)
		}
	}
}

// TestNoticesAreToldApart: an app that has shown one shows it again when it says something else, and not otherwise.
func TestNoticesAreToldApart(t *testing.T) {
	t.Parallel()
	id := func(change func(*mobileauth.Rule)) string {
		r := rule("1.*", mobileauth.Notify)
		r.URL = "https://example.com/get"
		change(&r)
		_, notice := inMemory(t, bank(r)).Status("bank", "ios", "1.2")
		return notice.ID
	}
	same := id(func(*mobileauth.Rule) {})
	if again := id(func(*mobileauth.Rule) {}); again != same || len(same) > mobileauth.MaxMessageID {
		t.Errorf("on another node it is %q, here %q", again, same)
	}
	for name, change := range map[string]func(*mobileauth.Rule){
		"another text":     func(r *mobileauth.Rule) { r.Messages = map[string]string{"en": "Something else"} },
		"another language": func(r *mobileauth.Rule) { r.Messages = map[string]string{"nl": r.Messages["en"]} },
		"another URL":      func(r *mobileauth.Rule) { r.URL = "https://example.com/new" },
		"another status":   func(r *mobileauth.Rule) { r.Status = mobileauth.Disabled },
	} {
		if id(change) == same {
			t.Errorf("%s has the same id", name)
		}
	}
	if got := id(func(r *mobileauth.Rule) { r.MessageID = "spring-2026" }); got != "spring-2026" {
		t.Errorf("the operator's own id became %q", got)
	}
}
