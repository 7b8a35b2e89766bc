// SPDX-License-Identifier: Apache-2.0

package challenge_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// TestWhereItComesFrom: the phone shows the browser and the address at which somebody began, whether that is known, typed or to be found
// out by scanning, as far as the request says it and as far as it can be shown.
func TestWhereItComesFrom(t *testing.T) {
	t.Parallel()
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
	field := func(label, value string) operation.Field {
		return operation.Field{Type: shown.FieldText, Label: label, Value: value}
	}
	both := []operation.Field{field("Browser", "Firefox 130, Linux"), field("Address", "192.0.2.1")}
	for _, test := range []struct {
		name, agent, address, locale string
		change                       func(*realm.Input)
		use                          string
		want                         []operation.Field
	}{
		{name: "somebody who is known", agent: firefox, address: "192.0.2.1", locale: "en", want: both},
		{name: "whoever scans", agent: firefox, address: "192.0.2.1", locale: "en", use: "scan", want: both, change: func(in *realm.Input) { in.Subject = "" }},
		{name: "a name that is typed", agent: firefox, address: "192.0.2.1", locale: "en", want: both, change: func(in *realm.Input) {
			in.Subject, in.Fields = "", map[string]string{challenge.FieldLogin: "alice"}
		}},
		{name: "in Dutch", agent: firefox, address: "::ffff:192.0.2.1", locale: "nl-BE", want: []operation.Field{both[0], field("Adres", "192.0.2.1")}},
		{name: "in a language without words", agent: firefox, address: "2001:db8::1", locale: "fi", want: []operation.Field{both[0], field("Address", "2001:db8::1")}},
		{name: "no browser", agent: "", address: "192.0.2.1", locale: "en", want: both[1:]},
		{name: "a browser that nobody knows", agent: "\u202e\x00", address: "192.0.2.1", locale: "en", want: both[1:]},
		{name: "no address", agent: firefox, address: "", locale: "en", want: both[:1]},
		{name: "an address that is none", agent: firefox, address: "@x", locale: "en", want: both[:1]},
		{name: "nothing", agent: "", address: "", locale: "en", want: nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, s := newGuest(t, challenge.Config{Also: []string{"scan"}})
			in := input(nil, func(in *realm.Input) {
				in.Locale, in.ClientIP, in.Headers = test.locale, test.address, map[string][]string{"User-Agent": {test.agent}}
			})
			if test.change != nil {
				test.change(&in)
			}
			if test.use != "" {
				in.Fields = map[string]string{realm.FieldAction: challenge.ActionUse + test.use}
			}
			collect(t, g, in)
			if len(s.asked) != 1 {
				t.Fatalf("asked %+v", s.asked)
			}
			if diff := cmp.Diff(test.want, s.asked[0].Context.Fields, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if strings.HasPrefix(test.use, "scan") != (s.asked[0].UserID == "") {
				t.Errorf("asked %+v", s.asked[0])
			}
		})
	}
	g, r := newRecorder(t, "sms", nil)
	collect(t, g, input(nil))
	if len(r.asked) != 1 || len(r.asked[0].Context.Fields) > 0 {
		t.Errorf("a message of text is asked to show fields: %+v", r.asked)
	}
}
