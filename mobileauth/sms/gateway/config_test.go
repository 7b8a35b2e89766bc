// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/gateway"
)

func good() gateway.Config {
	return gateway.Config{
		URL: "https://sms.example.com/v1/send?key=s3cret", Body: `{"to":"{to}","text":"{text}"}`, Now: clock,
		Answers: gateway.Answers{ID: "/id"},
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	receipts := func(change func(*gateway.Receipts)) func(*gateway.Config) {
		return func(c *gateway.Config) {
			c.Receipts = &gateway.Receipts{ID: "/id", State: "/state", Words: map[string]sms.State{"ok": sms.Delivered}}
			change(c.Receipts)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*gateway.Config)
		says   string // empty where it is accepted
	}{
		{"the usual", func(*gateway.Config) {}, ""},
		{"a host alone", func(c *gateway.Config) { c.URL = "https://sms.example.com" }, ""},
		{"a query alone", func(c *gateway.Config) { c.URL = "https://sms.example.com?x={id}" }, ""},
		{"receipts", receipts(func(*gateway.Receipts) {}), ""},
		{"receipts in a form", receipts(func(r *gateway.Receipts) { r.Format, r.ID, r.State = gateway.Form, "id", "state" }), ""},
		{"no clock", func(c *gateway.Config) { c.Now = nil }, "clock"},
		{"another method", func(c *gateway.Config) { c.Method = "PATCH" }, "method"},
		{"another format", func(c *gateway.Config) { c.Format = "xml" }, "format"},
		{"a body by GET", func(c *gateway.Config) { c.Method = "GET" }, "GET"},
		{"another spelling", func(c *gateway.Config) { c.Number = "national" }, "spelling"},
		{"in clear", func(c *gateway.Config) { c.URL = "http://sms.example.com/s3cret" }, "https"},
		{"no URL", func(c *gateway.Config) { c.URL = "s3cret" }, "https"},
		{"a user in the URL", func(c *gateway.Config) { c.URL = "https://u:s3cret@sms.example.com/" }, "https"},
		{"a fragment", func(c *gateway.Config) { c.URL = "https://sms.example.com/#s3cret" }, "https"},
		{"a blank", func(c *gateway.Config) { c.URL = "https://sms.example.com/ s3cret" }, "https"},
		{"a broken escape", func(c *gateway.Config) { c.URL = "https://sms.example.com/%zzs3cret" }, "https"},
		{"a host that is filled in", func(c *gateway.Config) { c.URL = "https://{from}.example.com/" }, "https"},
		{"a host that is filled in, without end", func(c *gateway.Config) { c.URL = "https://sms.example.com{id}" }, "https"},
		{"a number in the address", func(c *gateway.Config) { c.URL += "&to={to}" }, "{to}"},
		{"a text in the address", func(c *gateway.Config) { c.URL += "&text={text}" }, "{text}"},
		{"a placeholder that is none", func(c *gateway.Config) { c.Body = `{"to":"{to}","text":"{text} {code}"}` }, "{code}"},
		{"a number among others", func(c *gateway.Config) { c.Body = `{"to":"{to}","text":"{text}{ttl:number}"}` }, "{ttl:number}"},
		{"a number in a form", func(c *gateway.Config) { c.Format, c.Body = gateway.Form, "to={to}&text={text}&ttl={ttl:number}" }, "{ttl:number}"},
		{"no number", func(c *gateway.Config) { c.Body = `{"text":"{text}"}` }, "{to}"},
		{"no text", func(c *gateway.Config) { c.Body = `{"to":"{to}"}` }, "{text}"},
		{"a name that is filled in", func(c *gateway.Config) { c.Body = `{"{to}":"{text}"}` }, "name"},
		{"a name twice", func(c *gateway.Config) { c.Body = `{"a":"{text}","a":"{to}"}` }, "name"},
		{"no JSON", func(c *gateway.Config) { c.Body = `{"to":"{to}","text":"{text}"` }, "JSON"},
		{"JSON and more", func(c *gateway.Config) { c.Body += `{}` }, "follows"},
		{"deep JSON", func(c *gateway.Config) { c.Body = strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20) }, "deep"},
		{"no form", func(c *gateway.Config) { c.Format, c.Body = gateway.Form, "to={to}&text" }, "form"},
		{"a form with a broken escape", func(c *gateway.Config) { c.Format, c.Body = gateway.Form, "to={to}&text=%zz{text}" }, "form"},
		{"a form with a name that is filled in", func(c *gateway.Config) { c.Format, c.Body = gateway.Form, "{to}={text}" }, "form"},
		{"a body without end", func(c *gateway.Config) {
			c.Body = `{"to":"{to}","text":"{text}","x":"` + strings.Repeat("x", 16<<10) + `"}`
		}, "too long"},
		{"a body where there is none", func(c *gateway.Config) { c.Format = gateway.None }, "body"},
		{"a sender that is not sent", func(c *gateway.Config) { c.From = "Example" }, "{from}"},
		{"a sender that is missing", func(c *gateway.Config) { c.Body = `{"to":"{to}","text":"{text}","from":"{from}"}` }, "{from}"},
		{"a sender with a line", func(c *gateway.Config) { c.From = "a\nb" }, "sender"},
		{"a field of the request's own", func(c *gateway.Config) { c.Header = map[string]string{"content-type": "s3cret"} }, "content-type"},
		{"no field name", func(c *gateway.Config) { c.Header = map[string]string{"a b": "s3cret"} }, "a b"},
		{"a value with a line", func(c *gateway.Config) { c.Header = map[string]string{"X": "s3cret\r\nY: z"} }, `"X"`},
		{"a field twice", func(c *gateway.Config) { c.Header = map[string]string{"X-A": "s3cret", "x-a": "s3cret"} }, "cannot be set"},
		{"a text in a field", func(c *gateway.Config) { c.Header = map[string]string{"X": "{text}"} }, "{text}"},
		{"two ways to tell who calls", func(c *gateway.Config) { c.Auth = gateway.Auth{Bearer: "s3cret", User: "u", Password: "s3cret"} }, "several"},
		{"half of a pair", func(c *gateway.Config) { c.Auth.User = "u" }, "password"},
		{"a user with a colon", func(c *gateway.Config) { c.Auth.User, c.Auth.Password = "a:b", "s3cret" }, "password"},
		{"a token with a blank", func(c *gateway.Config) { c.Auth.Bearer = "s3cret x" }, "token"},
		{"a field without value", func(c *gateway.Config) { c.Auth.Field = "X" }, "field"},
		{"a field that is the request's", func(c *gateway.Config) { c.Auth.Field, c.Auth.Value = "Host", "s3cret" }, "field"},
		{"an HMAC without secret", func(c *gateway.Config) { c.Auth.HMAC = &gateway.HMAC{Field: "X"} }, "secret"},
		{"an HMAC without field", func(c *gateway.Config) { c.Auth.HMAC = &gateway.HMAC{Secret: "s3cret"} }, "field"},
		{"an HMAC of one field twice", func(c *gateway.Config) { c.Auth.HMAC = &gateway.HMAC{Secret: "s3cret", Field: "X", TimeField: "x"} }, "field"},
		{"another hash", func(c *gateway.Config) { c.Auth.HMAC = &gateway.HMAC{Secret: "s3cret", Field: "X", Hash: "md5"} }, "hash"},
		{"another encoding", func(c *gateway.Config) { c.Auth.HMAC = &gateway.HMAC{Secret: "s3cret", Field: "X", Encoding: "hex64"} }, "encoding"},
		{"an HMAC of nothing", func(c *gateway.Config) {
			c.Method, c.Format, c.Body, c.Exposed, c.URL = "GET", gateway.None, "", true, "https://sms.example.com/{to}/{text}"
			c.Auth.HMAC = &gateway.HMAC{Secret: "s3cret", Field: "X"}
		}, "no body"},
		{"a pointer that is none", func(c *gateway.Config) { c.Answers.ID = "id" }, "pointer"},
		{"a pointer with a tilde", func(c *gateway.Config) { c.Answers.Reason = "/a~2" }, "pointer"},
		{"accepted without words", func(c *gateway.Config) { c.Answers.Accepted = "/ok" }, "words"},
		{"a status that is none", func(c *gateway.Config) { c.Answers.Success = []int{99} }, "status"},
		{"a status for both", func(c *gateway.Config) { c.Answers.Success = []int{429} }, "status"},
		{"a class that is none", func(c *gateway.Config) { c.Answers.Reason, c.Answers.Classes = "/e", map[string]sms.Class{"x": "dead"} }, "class"},
		{"words from nowhere", func(c *gateway.Config) { c.Answers.Classes = map[string]sms.Class{"x": sms.Number} }, "pointer"},
		{"receipts without ids", func(c *gateway.Config) {
			receipts(func(*gateway.Receipts) {})(c)
			c.Answers.ID = ""
		}, "id"},
		{"receipts without state", receipts(func(r *gateway.Receipts) { r.State = "" }), "state"},
		{"receipts without words", receipts(func(r *gateway.Receipts) { r.Words = nil }), "words"},
		{"receipts with a state that is none", receipts(func(r *gateway.Receipts) { r.Words["x"] = "read" }), "word"},
		{"receipts with a class that is none", receipts(func(r *gateway.Receipts) { r.Classes = map[string]sms.Class{"x": sms.Config} }), "word"},
		{"receipts of another format", receipts(func(r *gateway.Receipts) { r.Format = gateway.None }), "format"},
		{"a list in a form", receipts(func(r *gateway.Receipts) { r.Format, r.List = gateway.Form, "/x" }), "list"},
		{"receipts with a pointer that is none", receipts(func(r *gateway.Receipts) { r.List = "x" }), "pointer"},
		{"receipts with an HMAC that is none", receipts(func(r *gateway.Receipts) { r.HMAC = &gateway.HMAC{} }), "secret"},
		{"a proxy that is none", func(c *gateway.Config) { c.Proxy = &url.URL{Scheme: "s3cret"} }, "proxy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := good()
			tt.change(&c)
			s, err := gateway.New(c)
			if tt.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
				return
			}
			if err == nil || s != nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("New = %v, want %q", err, tt.says)
			}
		})
	}
}

// Whatever the template, it stays of its type, and what is filled in comes out again as it was.
func FuzzTemplate(f *testing.F) {
	for _, body := range []string{
		`{"to":"{to}","text":"{text}"}`, `[{"a":["{to}","{text}","{id}{id}"]},"{ttl:number}",1e5,null]`, `{"to":"{to}","text":"{text}","x":"{"}`, `"{to}{text}"`,
	} {
		f.Add(body, `"\`+"\n", true)
	}
	f.Add("to={to}&text={text}&a=%26{id}", "a&b=c", false)
	f.Add("to={to}&text={text}&text={text}", "%zz+ ", false)
	var body atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text := make([]byte, r.ContentLength)
		for n := 0; n < len(text); {
			more, err := r.Body.Read(text[n:])
			n += more
			if err != nil {
				break
			}
		}
		said := string(text)
		body.Store(&said)
	}))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, template, text string, isJSON bool) {
		c := gateway.Config{URL: server.URL, Body: template, Now: clock, Format: gateway.Form}
		if isJSON {
			c.Format = gateway.JSON
		}
		s, err := gateway.New(c)
		if err != nil {
			return
		}
		defer s.Close()
		m := message()
		m.Text = text
		if m.Check(now) != nil {
			return
		}
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := *body.Load()
		if !isJSON {
			form, err := url.ParseQuery(got)
			if want, _ := url.ParseQuery(template); err != nil || len(form) != len(want) {
				t.Fatalf("%q has become %q: %v", template, got, err)
			}
			return
		}
		var want, have any
		if json.Unmarshal([]byte(got), &have) != nil || json.Unmarshal([]byte(template), &want) != nil {
			t.Fatalf("%q has become %q", template, got)
		}
		compare(t, want, have, text)
	})
}

// compare reports a document that has another shape than its template.
func compare(t *testing.T, want, have any, text string) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok || len(have) != len(want) {
			t.Fatalf("an object has become %v", have)
		}
		for name := range want {
			compare(t, want[name], have[name], text)
		}
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) != len(want) {
			t.Fatalf("an array has become %v", have)
		}
		for i := range want {
			compare(t, want[i], have[i], text)
		}
	case string:
		have, ok := have.(string)
		if ok && want == "{text}" && have != text || !ok && want != "{ttl:number}" {
			t.Fatalf("%q has become %q", want, have)
		}
	}
}
