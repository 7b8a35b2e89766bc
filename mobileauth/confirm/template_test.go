// SPDX-License-Identifier: Apache-2.0

package confirm_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

func template(t testing.TB, text string) *confirm.Template {
	t.Helper()
	parsed, err := confirm.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// form is a request with a form in its body.
func form(body string) *confirm.Request {
	return transfer(body, func(r *confirm.Request) {
		r.Header = func(name string) []string {
			if name == "Content-Type" {
				return []string{"application/x-www-form-urlencoded; charset=UTF-8"}
			}
			return nil
		}
	})
}

// TestRender: fields come from where they say, and stand in the message as the upstream gets them.
func TestRender(t *testing.T) {
	t.Parallel()
	body := `{"amount":150.00,"currency":"EUR","urgent":true,"payee":{"name":"Ann \u0026 Bob","ibans":["NL1","NL2"]},"m":-0.10}`
	for _, test := range []struct {
		name, text string
		request    *confirm.Request
		want       string
	}{
		{"json", "Pay {json.amount} {json.currency} to {json.payee.name}", transfer(body), "Pay 150.00 EUR to Ann & Bob"},
		{"elements and plain values", "{json.payee.ibans.1} {json.urgent} {json.m}!", transfer(body), "NL2 true -0.10!"},
		{"query, header, path", "{method} {host}: {path.1}, {path.2}, {query.to}, {header.currency}, {path}", transfer(body),
			"POST api.example.com: transfers, 7/8, Ann, EUR, /transfers/7/8"},
		{"as Caddy writes them", "{http.request.method} {http.request.host} {http.request.uri.path.1} {http.request.uri.query.n} {http.request.header.Currency} of {http.request.uri.path}",
			transfer(body), "POST api.example.com transfers 1 EUR of /transfers/7/8"},
		{"form", "Pay {form.amount} to {form.name}", form("amount=10&name=Ann+%C3%A9"), "Pay 10 to Ann é"},
		{"braces", "a {{b}} {json.currency}", transfer(body), "a {b} EUR"},
		{"a value is no template", "Pay {json.a} to {json.b}", transfer(`{"a":"{json.b}","b":"}}{{"}`), "Pay {json.b} to }}{{"},
		{"nothing of the request", "Go on", transfer("not read"), "Go on"},
		{"a method of a request that has no other", "{method} of {path.1}", form("amount=1"), "POST of transfers"},
		{"another method by a PUT, which is none", "{method} of {path.1}", transfer(`{"_method":"DELETE"}`, func(r *confirm.Request) { r.Method = "PUT" }), "PUT of transfers"},
		{"query beside a body of another kind", "Pay {query.to}", transfer("x", typed("application/octet-stream")), "Pay Ann"},
		{"another type of JSON", "Pay {json.a}", transfer(`{"a":1}`, typed("application/transfer+json; charset=utf-8")), "Pay 1"},
	} {
		header := test.request.Header
		test.request.Header = func(name string) []string {
			if name == "currency" {
				name = "Currency"
			}
			return header(name)
		}
		if got, err := template(t, test.text).Render(test.request); err != nil || got != test.want {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

func typed(types ...string) func(*confirm.Request) {
	return func(r *confirm.Request) {
		r.Header = func(name string) []string {
			if name == "Content-Type" {
				return types
			}
			return nil
		}
	}
}

// TestRenderRefuses: what is missing, ambiguous or not fit to be shown is refused by the name of its field, and the value is not told.
func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	encoded := func(r *confirm.Request) {
		header := r.Header
		r.Header = func(name string) []string {
			if name == "Content-Encoding" {
				return []string{"gzip"}
			}
			return header(name)
		}
	}
	const one = "Pay {json.amount}"
	for _, test := range []struct {
		name, text string
		request    *confirm.Request
		field      string
	}{
		{"missing", one, transfer(`{"amounts":1}`), "json.amount"},
		{"null", one, transfer(`{"amount":null}`), "json.amount"},
		{"empty", one, transfer(`{"amount":""}`), "json.amount"},
		{"object", one, transfer(`{"amount":{"value":1}}`), "json.amount"},
		{"array", one, transfer(`{"amount":[1]}`), "json.amount"},
		{"twice", one, transfer(`{"amount":1,"amount":2}`), "json"},
		{"twice, in another case", one, transfer(`{"amount":1,"Amount":2}`), "json.amount"},
		{"twice, by another k", "Pay {json.bank}", transfer(`{"bank":1,"ban\u212a":2}`), "json.bank"},
		{"twice, escaped", one, transfer(`{"amount":1,"\u0061mount":2}`), "json"},
		{"twice, elsewhere", one, transfer(`{"amount":1,"x":{"a":1,"a":2}}`), "json"},
		{"below what is no object", "Pay {json.amount.value}", transfer(`{"amount":1}`), "json.amount.value"},
		{"no such element", "Pay {json.a.2}", transfer(`{"a":[1,2]}`), "json.a.2"},
		{"no JSON", one, transfer(`amount=1`), "json"},
		{"two values", one, transfer(`{"amount":1} {"amount":2}`), "json"},
		{"an array of them", one, transfer(`[{"amount":1}]`), "json"},
		{"a mark before it", one, transfer("\ufeff" + `{"amount":1}`), "json"},
		{"not UTF-8", one, transfer("{\"amount\":\"\xff\"}"), "json"},
		{"half a pair", one, transfer(`{"amount":"\ud800"}`), "json"},
		{"too deep", one, transfer(`{"amount":1,"x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`), "json"},
		{"another type", one, transfer(`{"amount":1}`, typed("text/plain")), "json.amount"},
		{"no type", one, transfer(`{"amount":1}`, typed()), "json.amount"},
		{"two types", one, transfer(`{"amount":1}`, typed("application/json", "text/plain")), "json.amount"},
		{"another charset", one, transfer(`{"amount":1}`, typed("application/json; charset=utf-7")), "json.amount"},
		{"encoded", one, transfer(`{"amount":1}`, encoded), "method"},
		{"line break", one, transfer(`{"amount":"1\nPay 2"}`), "json.amount"},
		{"reordered", one, transfer(`{"amount":"1\u202e2"}`), "json.amount"},
		{"no width", one, transfer(`{"amount":"1\u200b2"}`), "json.amount"},
		{"blanks around it", one, transfer(`{"amount":" 1"}`), "json.amount"},
		{"pushed off the screen", one, transfer(`{"amount":"1        2"}`), "json.amount"},
		{"too long", one, transfer(`{"amount":"` + strings.Repeat("1", 141) + `"}`), "json.amount"},
		{"too long together", "Pay {json.a} {json.b}", transfer(`{"a":"` + strings.Repeat("1", 99) + `","b":"` + strings.Repeat("1", 99) + `"}`), "message"},
		{"the place of a code", one, transfer(`{"amount":"{code}"}`), "message"},
		{"form: twice", "Pay {form.a}", form("a=1&a=2"), "form.a"},
		{"form: twice, in another case", "Pay {form.a}", form("a=1&A=2"), "form.a"},
		{"form: twice, as a list", "Pay {form.a}", form("a=1&a[]=2"), "form.a"},
		{"form: twice, for some", "Pay {form.a_b}", form("a_b=1&a.b=2"), "form.a_b"},
		{"form: missing", "Pay {form.a}", form("b=1"), "form.a"},
		{"form: not well formed", "Pay {form.a}", form("a=1&b=%zz"), "form"},
		{"form: semicolons", "Pay {form.a}", form("a=1;a=2"), "form"},
		{"form: in the query too", "Pay {form.to}", form("to=1"), "form.to"},
		{"query: in the form too", "Pay {query.to}", form("To[]=1"), "query.to"},
		{"query: beside a form in parts", "Pay {query.to}", transfer("x", func(r *confirm.Request) {
			r.Header = func(string) []string { return []string{"multipart/form-data; boundary=x"} }
		}), "query.to"},
		{"query: in the object too", "Pay {query.to}", transfer(`{"amount":1,"To":"Bob"}`), "query.to"},
		{"query: beside what is no object", "Pay {query.to}", transfer(`["to"]`), "json"},
		{"query: beside a body without a type", "Pay {query.to}", transfer("to=Bob", typed()), "query.to"},
		{"query: beside an encoded body", "Pay {query.to}", transfer(`{"amount":1}`, encoded, func(r *confirm.Request) { r.Method = "PUT" }), "query.to"},
		{"encoded, of another method", one, transfer(`{"amount":1}`, encoded, func(r *confirm.Request) { r.Method = "PUT" }), "json.amount"},
		{"json: in the query too", "Pay {json.to}", transfer(`{"to":"Bob"}`), "json.to"},
		{"json: a part of it in the query", "Pay {json.to.name}", transfer(`{"to":{"name":"Bob"}}`, func(r *confirm.Request) { r.Query = "To[name]=Ann" }), "json.to.name"},
		{"json: a part of it in the query, by a dot", "Pay {json.to.name}", transfer(`{"to":{"name":"Bob"}}`, func(r *confirm.Request) { r.Query = "to.name=Ann" }), "json.to.name"},
		{"json: in a query that is not well formed", one, transfer(`{"amount":1}`, func(r *confirm.Request) { r.Query = "a=%zz" }), "query"},
		{"another method in the query", "Pay {path.1}", transfer("", func(r *confirm.Request) { r.Query = "_METHOD=DELETE" }), "method"},
		{"another method in the form", "Pay {path.1}", form("_method=DELETE"), "method"},
		{"another method in the object", "Pay {path.1}", transfer(`{"_method":"DELETE"}`), "method"},
		{"another method in what looks like one", "Pay {path.1}", transfer(`{"a":1,"a":2,"_Method":"DELETE"}`), "method"},
		{"the method of a form in parts", "{method} it", transfer("x", typed("multipart/form-data; boundary=x")), "method"},
		{"form of JSON", "Pay {form.a}", transfer(`{"a":1}`), "form.a"},
		{"query: twice", "Pay {query.to}", transfer("", func(r *confirm.Request) { r.Query = "to=1&to=2" }), "query.to"},
		{"query: missing", "Pay {query.nobody}", transfer(""), "query.nobody"},
		{"query: not well formed", "Pay {query.to}", transfer("", func(r *confirm.Request) { r.Query = "to=1;n=%" }), "query"},
		{"header: missing", "Pay {header.nothing}", transfer(""), "header.nothing"},
		{"path: missing", "Pay {path.3}", transfer(""), "path.3"},
		{"path: not well formed", "Pay {path.1}", transfer("", func(r *confirm.Request) { r.Path = "/%zz" }), "path.1"},
		{"path: hidden", "Pay {path.1}", transfer("", func(r *confirm.Request) { r.Path = "/%00" }), "path.1"},
	} {
		got, err := template(t, test.text).Render(test.request)
		var field *shown.FieldError
		if !errors.As(err, &field) || field.Field != test.field || got != "" {
			t.Errorf("%s: %q, %v", test.name, got, err)
			continue
		}
		if strings.ContainsAny(err.Error(), "12") && !strings.ContainsAny(test.text, "12") && !strings.Contains(err.Error(), "characters") && !strings.Contains(err.Error(), "position") {
			t.Errorf("%s tells the value: %v", test.name, err)
		}
	}
}

// TestParseTemplateRefuses: what could never be a message, or a field.
func TestParseTemplateRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "{json.a}", " {json.a} ", "Pay {", "Pay }", "Pay {}", "Pay {json}", "Pay {json.}", "Pay {json.a..b}", "Pay {json.a", "Pay {cookie.a}",
		"Pay {query}", "Pay {header.}", "Pay {path.0}", "Pay {path.100}", "Pay {path.x}", "Pay {method.x}", "Pay {http.request.uri}", "Pay {a b}",
		"Pay\n{json.a}", "Pay \u202e{json.a}", strings.Repeat("x", 156), "{{}", "Pay {env.SECRET}", "Pay {path.01}",
	} {
		if parsed, err := confirm.ParseTemplate(text); err == nil {
			t.Errorf("%q is %+v", text, parsed)
		}
	}
}

// TestTemplateTellsWhatItReads: header fields that are shown have to be bound, and a body has to be read.
func TestTemplateTellsWhatItReads(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text    string
		headers []string
		body    bool
	}{
		{"Go", nil, false},
		{"Go {header.A} {path.1} {header.C}", []string{"A", "C"}, false},
		{"Go {query.b}", nil, true},
		{"Go {method}", nil, true},
		{"Go {json.a}", nil, true},
		{"Go {form.a}", nil, true},
	} {
		parsed := template(t, test.text)
		if diff := cmp.Diff(test.headers, parsed.Headers()); diff != "" || parsed.ReadsBody() != test.body {
			t.Errorf("%q: %s (body %v)", test.text, diff, parsed.ReadsBody())
		}
	}
}

// FuzzRender: a message that is made shows every value as encoding/json reads it, once, between the template's own words.
func FuzzRender(f *testing.F) {
	f.Add(`{"amount":1,"to":"Ann"}`)
	f.Add(`{"amount":"{json.to}","to":"{json.amount}"}`)
	f.Add(`{"amount":1,"amount":2,"to":"x"}`)
	f.Add(`{"to":"Ann","Amount":3,"amount":1e400}`)
	f.Add(`{"amount":9007199254740993,"to":-0.0}`)
	f.Add("{\"amount\":\"\\u202e\",\"to\":\"\\ud800\"}")
	parsed := template(f, "Pay {json.amount} to {json.to}.")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parsed.Render(transfer(body))
		if err != nil {
			if got != "" {
				t.Errorf("a refusal has %q", got)
			}
			return
		}
		var read struct {
			Amount any `json:"amount"`
			To     any `json:"to"`
		}
		d := json.NewDecoder(strings.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&read); err != nil {
			t.Fatalf("%q is shown as %q, and cannot be read: %v", body, got, err)
		}
		for _, value := range []any{read.Amount, read.To} {
			if number, ok := value.(json.Number); ok && !sameAsDouble(number) {
				t.Errorf("%q is shown as %q, and a reader of doubles has another number", body, got)
			}
		}
		want := "Pay " + plain(read.Amount) + " to " + plain(read.To) + "."
		if same, err := shown.Text("", want, shown.Content{Most: 155}); err != nil || same != got || !utf8.ValidString(got) {
			t.Errorf("%q is shown as %q, and read as %q", body, got, want)
		}
	})
}

func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return "?"
}

// FuzzFormFields: a field of a form is shown as any reader of forms has it, whichever of two it would take.
func FuzzFormFields(f *testing.F) {
	f.Add("a=1&b=2")
	f.Add("a=1&a=2")
	f.Add("A=1&a=%31")
	parsed := template(f, "Pay {form.a}.")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parsed.Render(form(body))
		if err != nil {
			return
		}
		values, err := url.ParseQuery(body)
		if err != nil || len(values["a"]) != 1 || len(values["A"]) > 0 || len(values["a[]"]) > 0 {
			t.Fatalf("%q is shown as %q", body, got)
		}
		if want, _ := shown.Text("", "Pay "+values.Get("a")+".", shown.Content{Most: 155}); want != got {
			t.Errorf("%q is shown as %q", body, got)
		}
	})
}
