// SPDX-License-Identifier: Apache-2.0

package webservice_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/webservice"
)

// canned is a service that always answers the same.
type canned string

func (c canned) Post(context.Context, any) ([]byte, error) { return []byte(c), nil }

func TestParsePath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want webservice.Path // nil for an error
	}{
		{"id", webservice.Path{"id"}},
		{"user.id", webservice.Path{"user", "id"}},
		{"users.0.id", webservice.Path{"users", "0", "id"}},
		{"a/b", webservice.Path{"a/b"}},
		{"a~b", webservice.Path{"a~b"}},
		{"/user/id", webservice.Path{"user", "id"}},
		{"/user/e.mail", webservice.Path{"user", "e.mail"}},
		{"/a~1b/c~0d/~01", webservice.Path{"a/b", "c~d", "~1"}},
		{"/", webservice.Path{""}},
		{"", nil}, {".", nil}, {"a.", nil}, {".a", nil}, {"a..b", nil}, {"/a~", nil}, {"/a~2", nil}, {strings.Repeat("/a", 17), nil},
	} {
		got, err := webservice.ParsePath(tt.text)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.want != nil) {
			t.Errorf("%q: %v (-want +got):\n%s", tt.text, err, diff)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer string
		change       func(*webservice.Config)
		want         realm.Result
	}{
		{"a number", `{"id":7}`, nil, accepted(realm.Identity{ExternalID: "7"})},
		{"a big number", `{"id":12345678901234567890}`, nil, accepted(realm.Identity{ExternalID: "12345678901234567890"})},
		{"a negative number", `{"id":-7}`, nil, accepted(realm.Identity{ExternalID: "-7"})},
		{"zero", `{"id":0}`, nil, accepted(realm.Identity{ExternalID: "0"})},
		{"white space", " \n{ \"id\" : \"u\" } ", nil, accepted(realm.Identity{ExternalID: "u"})},
		{"no id", `{}`, nil, refusedFor("service_no_id")},
		{"null", `{"id":null}`, nil, refusedFor("service_no_id")},
		{"empty", `{"id":""}`, nil, refusedFor("service_no_id")},
		{"an id elsewhere", `{"user":{"id":"u"}}`, nil, refusedFor("service_no_id")},
		{"an id beneath text", `{"user":"u"}`, func(c *webservice.Config) { c.ID = "user.id" }, refusedFor("service_no_id")},
		{"an id of another case", `{"ID":"u"}`, nil, refusedFor("service_no_id")},
		{"yes", `{"id":"u","ok":true}`, func(c *webservice.Config) { c.OK = "ok" }, accepted(realm.Identity{ExternalID: "u"})},
		{"no", `{"id":"u","ok":false}`, func(c *webservice.Config) { c.OK = "ok" }, refusedFor("service_not_ok")},
		{"neither", `{"id":"u"}`, func(c *webservice.Config) { c.OK = "ok" }, refusedFor("service_not_ok")},
		{"yes, and nobody", `{"ok":true}`, func(c *webservice.Config) { c.OK = "ok" }, refusedFor("service_no_id")},
		{"a yes deep down", `{"id":"u","a":[{"ok":true}]}`, func(c *webservice.Config) { c.OK = "a.0.ok" }, accepted(realm.Identity{ExternalID: "u"})},
		{"beyond a list", `{"id":"u","a":[true]}`, func(c *webservice.Config) { c.OK = "a.1" }, refusedFor("service_not_ok")},
		{"before a list", `{"id":"u","a":[true]}`, func(c *webservice.Config) { c.OK = "a.-1" }, refusedFor("service_not_ok")},
		{"a step that is no number", `{"id":"u","a":[true]}`, func(c *webservice.Config) { c.OK = "a.00" }, refusedFor("service_not_ok")},
		{"attributes of all kinds", `{"id":"u","a":"x","b":1.50,"c":false,"d":null,"e":[],"f":["q r"],"g":"\u0000"}`, func(c *webservice.Config) {
			c.Attributes = map[string]string{"a": "a", "b": "b", "c": "c", "d": "d", "e": "e", "f": "f", "g": "g", "h": "h"}
		}, accepted(realm.Identity{ExternalID: "u", Attributes: map[string]string{
			"a": "x", "b": "1.50", "c": "false", "d": "", "e": "", "f": "q%20r", "g": "", "h": "",
		}})},
		{"a long name", `{"id":"u","n":"` + strings.Repeat("n", 1025) + `"}`, func(c *webservice.Config) { c.Display = "n" },
			accepted(realm.Identity{ExternalID: "u"})},
		{"a name that is the id", `{"id":7}`, func(c *webservice.Config) { c.Display = "id" }, accepted(realm.Identity{ExternalID: "7", Name: "7"})},
		{"a login of its own", `{"id":"u","l":"alice@example.com"}`, func(c *webservice.Config) {
			c.Attributes = map[string]string{"login": "l"}
		}, accepted(realm.Identity{ExternalID: "u", Attributes: map[string]string{"login": "alice@example.com"}})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config(canned(tt.answer))
			c.ID, c.Display, c.Attributes = "id", "", nil
			if tt.change != nil {
				tt.change(&c)
			}
			if tt.want.Status == realm.Accepted {
				if tt.want.Identity.Attributes == nil {
					tt.want.Identity.Attributes = map[string]string{}
				}
				if tt.want.Identity.Attributes["login"] == "" {
					tt.want.Identity.Attributes["login"] = "alice"
				}
			}
			got, err := build(t, c).Verify(t.Context(), answers("alice", password))
			if err != nil {
				t.Fatal(err)
			}
			same(t, tt.want, got)
		})
	}
}

// An answer that neither of our standard library's readings agrees with is accepted by nobody: what comes out is what
// encoding/json finds at the path, and usable text.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"user":{"id":"u-7","name":"Alice"},"ok":true,"roles":["a","b c"]}`, `{"user":{"id":7},"ok":true}`, `{"user":{"id":1e400},"ok":true}`,
		`{"user":{"id":"a","id":"b"},"ok":true}`, `{"user":{"id":"\ud800"},"ok":true}`, `{"ok":true}`, `null`, `[]`, `{}`, "", "{\"user\":{\"id\":\"\xff\"}}",
		`{"user":null,"ok":"true"}`, strings.Repeat(`{"a":`, 100), `{"user":{"id":"u"},"ok":true}x`, `{"user":{"ID":"u"},"ok":true}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		c := config(canned(answer))
		c.OK = "ok"
		got, err := build(t, c).Verify(t.Context(), answers("alice", password))
		if (err == nil) == (got.Status == "") {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Status != realm.Accepted {
			if got.Identity.ExternalID != "" {
				t.Errorf("an id without an acceptance: %+v", got)
			}
			return
		}
		var plain struct {
			OK   bool
			User struct{ ID any }
		}
		decoder := json.NewDecoder(strings.NewReader(answer))
		decoder.UseNumber()
		if err := decoder.Decode(&plain); err != nil || !plain.OK || plain.User.ID == nil {
			t.Errorf("%q is accepted, and means %+v (%v)", answer, plain, err)
		}
		id := got.Identity.ExternalID
		if text, ok := plain.User.ID.(string); ok && text != id {
			t.Errorf("%q is the id %q, not %q", answer, text, id)
		}
		if id == "" || !utf8.ValidString(id) || len(id) > realm.MaxExternalID {
			t.Errorf("%q makes the id %q", answer, id)
		}
	})
}
