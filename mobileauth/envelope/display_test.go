// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

func TestDisplay(t *testing.T) {
	t.Parallel()
	want := envelope.Display{
		Version: 1, Operation: "op_1", Kind: "authorisation", Application: "bank", Title: "Pay <100> & \u2028 more", Content: "Größe",
		Fields:   []envelope.Field{{Type: "amount", Label: "Amount", Value: "100.00", Currency: "EUR"}, {Type: "text", Label: "To", Value: "Bob"}},
		Language: "en", Created: 1, Expires: 2, NumberMatch: 2, Methods: []string{"pin", "possession"},
		Secure: "Your new PIN is in the post", Data: "order=7&sum=100",
	}
	raw, err := want.Encode()
	if err != nil || strings.HasSuffix(string(raw), "\n") || !strings.Contains(string(raw), "Pay <100> &") {
		t.Fatalf("Encode = %q, %v", raw, err)
	}
	got, err := envelope.ParseDisplay(raw, "op_1")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if again, err := got.Encode(); err != nil || string(again) != string(raw) {
		t.Errorf("it encodes as %s, then as %s, %v", raw, again, err)
	}
	_, err = envelope.ParseDisplay(raw, "op_2")
	mustRefuse(t, err, envelope.ReasonBody)
	for name, text := range map[string]string{
		"a member more":          strings.Replace(string(raw), `"kind"`, `"warning":"x","kind"`, 1),
		"a member more, in case": strings.Replace(string(raw), `"kind"`, `"Kind":"x","kind"`, 1),
		"a member twice":         strings.Replace(string(raw), `"title"`, `"title":"Login","title"`, 1),
		"more in a field":        strings.Replace(string(raw), `"label"`, `"hidden":"x","label"`, 1),
		"no method":              strings.Replace(string(raw), `["pin","possession"]`, `[]`, 1),
		"an unknown method":      strings.Replace(string(raw), `"possession"`, `"face"`, 1),
		"a negative number":      strings.Replace(string(raw), `"number_match":2`, `"number_match":-2`, 1),
		"something behind it":    string(raw) + "{}",
		"nothing":                "",
		"not UTF-8":              strings.Replace(string(raw), "bank", "b\xffnk", 1),
	} {
		if _, err := envelope.ParseDisplay([]byte(text), "op_1"); !isRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = envelope.ParseDisplay([]byte(strings.Replace(string(raw), `"v":1`, `"v":2`, 1)), "op_1")
	mustRefuse(t, err, envelope.ReasonVersion)
	if _, err := (envelope.Display{}).Encode(); !isRefusal(err) {
		t.Errorf("nothing was encoded: %v", err)
	}
}
