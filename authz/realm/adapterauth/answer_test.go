// SPDX-License-Identifier: Apache-2.0

package adapterauth_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/adapterauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
)

// said is a back end that always says the same.
type said string

func (s said) Post(context.Context, any) ([]byte, error) { return []byte(s), nil }

// collect has a back end say something in the first round.
func collect(t testing.TB, says string) (realm.Credentials, *realm.Challenge, error) {
	t.Helper()
	a, err := adapterauth.New(adapterauth.Config{Backend: said(says)})
	if err != nil {
		t.Fatal(err)
	}
	return a.Collect(t.Context(), realm.Input{ClientIP: "192.0.2.7"})
}

func long(n int) string { return strings.Repeat("x", n) }

// many returns n members of an object, or elements of a list.
func many(n int, format string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(all, ",")
}

func TestAnswersThatAreRefused(t *testing.T) {
	t.Parallel()
	field := func(members string) string { return `{"challenge":{"fields":[{"label":"x",` + members + `}]}}` }
	for _, tt := range []struct{ name, text, says string }{
		{"nothing", "", "want an object"},
		{"null", "null", "want an object"},
		{"a list", "[]", "want an object"},
		{"no decision", "{}", "has 0 of"},
		{"a state alone", `{"state":"secret"}`, "has 0 of"},
		{"two decisions", `{"refused":{},"identity":{}}`, "has 2 of"},
		{"all decisions", `{"challenge":{},"refused":{},"identity":{},"credentials":{}}`, "has 4 of"},
		{"twice the same", `{"refused":{},"refused":{}}`, "duplicate"},
		{"twice the same, spelled differently", `{"refused":{},"re\u0066used":{}}`, "duplicate"},
		{"in another case", `{"Identity":{}}`, `"Identity"`},
		{"in both cases", `{"refused":{},"Refused":{}}`, `"Refused"`},
		{"an unknown member", `{"identity":{"id":"secret"},"accepted":true}`, `"accepted"`},
		{"something behind it", `{"refused":{}}{}`, "want the end"},
		{"not UTF-8", "{\"refused\":{\"reason\":\"secret\xff\"}}", "UTF-8"},
		{"deep", `{"challenge":` + strings.Repeat(`{"data":`, 20) + "1" + strings.Repeat("}", 20) + "}", "levels"},
		{"a decision that is a text", `{"identity":"secret"}`, "want an object"},
		{"a decision that is null", `{"identity":null}`, "want an object"},
		{"a state that is a number", `{"challenge":{},"state":12345678}`, "wrong type"},
		{"a state without a challenge", `{"identity":{"id":"a"},"state":"secret"}`, "asks nothing"},
		{"a long state", `{"challenge":{},"state":"` + long(8<<10+1) + `"}`, "8192"},

		{"a challenge with an unknown member", `{"challenge":{"title":"secret"}}`, `"title"`},
		{"fields that are no list", `{"challenge":{"fields":{"name":"secret"}}}`, "wrong type"},
		{"a field that is a text", `{"challenge":{"fields":["secret"]}}`, "field 1"},
		{"a field that is null", `{"challenge":{"fields":[null]}}`, "field 1"},
		{"a field with an unknown member", field(`"name":"a","pattern":"secret"`), `"pattern"`},
		{"a field without a name", field(`"type":"text"`), "no name"},
		{"a field without a label", `{"challenge":{"fields":[{"name":"a"}]}}`, "no label"},
		{"a field that pages have", field(`"name":"step"`), "pages use"},
		{"a field that is ours", field(`"name":"round"`), "ours"},
		{"a hidden field", field(`"name":"a","type":"hidden"`), `"hidden"`},
		{"a file", field(`"name":"a","type":"file"`), `"file"`},
		{"a field with an unknown input mode", field(`"name":"a","input_mode":"braille"`), `"braille"`},
		{"a field with a value of two lines", field(`"name":"a","value":"sec\nret"`), "value"},
		{"a required that is a text", field(`"name":"a","required":"secret"`), "wrong type"},
		{"fields of one name", `{"challenge":{"fields":[{"name":"a","label":"x"},{"name":"a","label":"y"}]}}`, "twice"},
		{"17 fields", `{"challenge":{"fields":[` + many(17, `{"name":"f%d","label":"x"}`) + `]}}`, "at most 16"},
		{"a message of two lines", `{"challenge":{"message":"sec\nret"}}`, "message"},
		{"a long message", `{"challenge":{"message":"` + long(1025) + `"}}`, "message"},
		{"an error that is a text", `{"challenge":{"error":"secret"}}`, "wrong type"},
		{"data that is a list", `{"challenge":{"data":["secret"]}}`, "data"},
		{"data that is null", `{"challenge":{"data":null}}`, "data"},
		{"data that are numbers", `{"challenge":{"data":{"a":12345678}}}`, "data"},
		{"data that are missing", `{"challenge":{"data":{"a":null}}}`, "data"},
		{"data without a name", `{"challenge":{"data":{"":"secret"}}}`, "data"},
		{"65 data", `{"challenge":{"data":{` + many(65, `"d%d":"x"`) + `}}}`, "more than 64"},

		{"an identity with a subject", `{"identity":{"id":"a","subject":"usr_secret"}}`, `"subject"`},
		{"an id that is a number", `{"identity":{"id":12345678}}`, "wrong type"},
		{"a long id", `{"identity":{"id":"` + long(201) + `"}}`, "id"},
		{"an id that is no text", `{"identity":{"id":"sec\u0000ret"}}`, "id"},
		{"a long name", `{"identity":{"name":"` + long(1025) + `"}}`, "name"},
		{"a long device", `{"identity":{"device":"` + long(201) + `"}}`, "device"},
		{"a method of two words", `{"identity":{"amr":["pwd secret"]}}`, "amr"},
		{"nine methods", `{"identity":{"amr":[` + many(9, `"m%d"`) + `]}}`, "amr"},
		{"33 attributes", `{"identity":{"attributes":{` + many(33, `"a%d":"x"`) + `}}}`, "more than 32"},
		{"a long attribute", `{"identity":{"attributes":{"a":"` + long(1025) + `"}}}`, "attributes"},
		{"an attribute of a long name", `{"identity":{"attributes":{"` + long(65) + `":"secret"}}}`, "attributes"},
		{"attributes twice", `{"identity":{"attributes":{"a":"secret","a":"secret"}}}`, "duplicate"},

		{"credentials that are lists", `{"credentials":{"password":["secret"]}}`, "credentials"},
		{"long credentials", `{"credentials":{"password":"` + long(4097) + `"}}`, "credentials"},

		{"a refusal with an unknown member", `{"refused":{"accepted":"secret"}}`, `"accepted"`},
		{"a long reason", `{"refused":{"reason":"` + long(65) + `"}}`, "reason"},
		{"a message of a refusal with a line end", `{"refused":{"message":"sec\r\nret"}}`, "message"},
		{"a time before now", `{"refused":{"retry_after":-1}}`, "retry_after"},
		{"a time after tomorrow", `{"refused":{"retry_after":86401}}`, "retry_after"},
		{"a time that is a fraction", `{"refused":{"retry_after":1.5}}`, "wrong type"},
		{"a time that is a text", `{"refused":{"retry_after":"secret"}}`, "wrong type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			credentials, challenge, err := collect(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Collect = %v, want an error about %s", err, tt.says)
			}
			if diff := cmp.Diff(realm.Credentials{}, credentials); diff != "" || challenge != nil {
				t.Errorf("an error comes with %s and %+v", diff, challenge)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "12345678") || len(err.Error()) > 300 {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

// What is at the limit is not beyond it.
func TestAnswersAtTheLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text string }{
		{"state", `{"challenge":{},"state":"` + long(8<<10) + `"}`},
		{"fields", `{"challenge":{"fields":[` + many(16, `{"name":"f%d","label":"x"}`) + `]}}`},
		{"a message", `{"challenge":{"message":"` + long(1024) + `"}}`},
		{"data", `{"challenge":{"data":{` + many(64, `"d%d":"x"`) + `}}}`},
		{"an id", `{"identity":{"id":"` + long(200) + `","device":"` + long(200) + `","name":"` + long(1024) + `"}}`},
		{"methods", `{"identity":{"amr":[` + many(8, `"m%d"`) + `]}}`},
		{"attributes", `{"identity":{"attributes":{` + many(32, `"a%d":"x"`) + `}}}`},
		{"credentials", `{"credentials":{"password":"` + long(4096) + `"}}`},
		{"a refusal", `{"refused":{"retry_after":86400,"reason":"` + long(64) + `","message":"` + long(1024) + `"}}`},
		{"all", `{"refused":{}}` + strings.Repeat(" ", 64<<10-len(`{"refused":{}}`))},
	} {
		if _, _, err := collect(t, tt.text); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, _, err := collect(t, `{"refused":{}}`+strings.Repeat(" ", 64<<10)); err == nil {
		t.Error("more than 64 KiB are read")
	}
}

// Whatever a back end says: an error, or exactly one thing that the rest of the server can rely on.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		asksName, asksCode, asksAgain, isAlice, says404, `{"credentials":{"a":"b"}}`, `{"challenge":{}}`, "{}", "", `{"refused":null}`,
		`{"refused":{"retry_after":9223372036854775807}}`, `{"challenge":{"fields":[{"name":"a","label":"b","type":"password","value":"c"}]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		credentials, challenge, err := collect(t, text)
		things := 0
		for _, there := range []bool{
			err != nil, challenge != nil, credentials.Identity != nil, credentials.Refusal != nil, credentials.Values != nil,
		} {
			if there {
				things++
			}
		}
		if things != 1 {
			t.Fatalf("%d things came of %q: %+v, %+v, %v", things, text, credentials, challenge, err)
		}
		switch {
		case err != nil && len(err.Error()) > 400:
			t.Errorf("a long error: %v", err)
		case challenge != nil:
			checkChallenge(t, challenge)
		case credentials.Identity != nil:
			checkIdentity(t, credentials.Identity)
		case credentials.Refusal != nil:
			if after := credentials.Refusal.RetryAfter; after < 0 || after > 24*time.Hour {
				t.Errorf("come back after %v", after)
			}
		}
	})
}

func checkChallenge(t *testing.T, c *realm.Challenge) {
	t.Helper()
	last := len(c.Fields) - 1
	if hidden := c.Fields[last]; hidden.Type != "hidden" || hidden.Value == "" {
		t.Errorf("the last field is %+v", hidden)
	}
	if err := formauth.CheckFields(c.Fields[:last]); err != nil {
		t.Error(err)
	}
	if !realm.ValidText(c.Message, formauth.MaxText) || len(c.State) > 20<<10 || len(c.State) == 0 {
		t.Errorf("the message is %q and %d bytes are kept", c.Message, len(c.State))
	}
	a, err := adapterauth.New(adapterauth.Config{Backend: said("")})
	if err != nil {
		t.Fatal(err)
	}
	_, again, err := a.Collect(t.Context(), realm.Input{State: c.State})
	if diff := cmp.Diff(c, again); err != nil || diff != "" {
		t.Errorf("shown again it is another challenge (%v):\n%s", err, diff)
	}
}

func checkIdentity(t *testing.T, who *realm.Identity) {
	t.Helper()
	if who.Subject != "" {
		t.Errorf("the back end names a user of ours: %+v", who)
	}
	if !realm.ValidText(who.ExternalID, realm.MaxExternalID) || !realm.ValidText(who.Name, realm.MaxValue) || realm.CheckMethods(who.AMR) != nil {
		t.Errorf("the identity is %+v", who)
	}
}
