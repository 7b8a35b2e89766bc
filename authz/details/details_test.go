// SPDX-License-Identifier: Apache-2.0

package details_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const paymentSchema = `{
	"properties": {
		"type": {"const": "payment_initiation"},
		"instructedAmount": {
			"type": "object",
			"properties": {"amount": {"type": "string", "pattern": "^[0-9]{1,9}[.][0-9]{2}$"}, "currency": {"enum": ["EUR", "USD"]}},
			"required": ["amount", "currency"],
			"additionalProperties": false
		},
		"creditorName": {"type": "string", "maxLength": 140},
		"due": {"type": "string", "format": "date"}
	},
	"required": ["instructedAmount", "creditorName"]
}`

func payment() details.Type {
	return details.Type{
		Name: "payment_initiation", Schema: []byte(paymentSchema), Realms: []string{"phone"}, Once: true,
		Messages: map[string]string{
			"":   "Pay {instructedAmount.amount} {instructedAmount.currency} to {creditorName}",
			"nl": "Betaal {instructedAmount.amount} {instructedAmount.currency} aan {creditorName}",
		},
	}
}

func accounts() details.Type {
	return details.Type{
		Name:     "account_information",
		Schema:   []byte(`{"properties":{"actions":{"type":"array","items":{"enum":["list","read","history"]},"minItems":1}},"required":["actions"]}`),
		Messages: map[string]string{"": "See your accounts: {actions}"}, Lists: []string{"actions"},
	}
}

func registry(t testing.TB) *details.Registry {
	t.Helper()
	free := details.Type{Name: "free", Schema: []byte(`{"properties":{"note":{"type":"string"}}}`), Messages: map[string]string{"": "Note it"}}
	r, err := details.New(payment(), accounts(), free)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var both = []string{"payment_initiation", "account_information"}

func pay(amount, to string) string {
	return fmt.Sprintf(`{"type":"payment_initiation","instructedAmount":{"amount":%q,"currency":"EUR"},"creditorName":%q}`, amount, to)
}

const reading = `{"type":"account_information","actions":["list","read"]}`

func wantRefused(t *testing.T, err error) {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) || e.Code != oauth.InvalidAuthorizationDetails || e.HTTPStatus() != 400 {
		t.Fatalf("got %v, want invalid_authorization_details", err)
	}
	if strings.Contains(e.Error(), "MARK") {
		t.Errorf("the error repeats what was sent: %v", e)
	}
}

func TestRFC9396_5(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		allowed    []string
		want       details.Asked // zero is refused
	}{
		{name: "5 nothing is asked for", want: details.Asked{Message: "-"}},
		{name: "5 a payment", text: "[" + pay("12.50", "Ann") + "]", want: details.Asked{Realms: []string{"phone"}, Message: "Pay 12.50 EUR to Ann"}},
		{name: "5 what the consent page approves", text: "[" + reading + "]", want: details.Asked{Consent: true}},
		{name: "5 both", text: "[" + reading + "," + pay("1.00", "Ann") + "]", want: details.Asked{Realms: []string{"phone"}, Message: "Pay 1.00 EUR to Ann", Consent: true}},
		{name: "5 an optional field", text: `[{"type":"payment_initiation","instructedAmount":{"amount":"1.00","currency":"USD"},"creditorName":"A","due":"2026-12-01"}]`, want: details.Asked{Realms: []string{"phone"}, Message: "Pay 1.00 USD to A"}},
		{name: "5 malformed", text: "[" + pay("12.50", "Ann")},
		{name: "5 an unknown type", text: `[{"type":"MARK"}]`},
		{name: "5 an unknown type beside a known one", text: "[" + reading + `,{"type":"MARK"}]`},
		{name: "5 an unknown field", text: `[{"type":"account_information","actions":["read"],"MARK":1}]`},
		{name: "5 an unknown field further in", text: `[{"type":"payment_initiation","instructedAmount":{"amount":"1.00","currency":"EUR","MARK":1},"creditorName":"A"}]`},
		{name: "5 a field of the wrong type", text: `[{"type":"account_information","actions":"MARK"}]`},
		{name: "5 an invalid value", text: `[{"type":"account_information","actions":["MARK"]}]`},
		{name: "5 an invalid format", text: `[{"type":"payment_initiation","instructedAmount":{"amount":"1.00","currency":"EUR"},"creditorName":"A","due":"MARK"}]`},
		{name: "5 a missing field", text: `[{"type":"payment_initiation","instructedAmount":{"amount":"1.00","currency":"EUR"}}]`},
		{name: "5 a type the client may not use", text: "[" + pay("12.50", "Ann") + "]", allowed: []string{"account_information"}},
		{name: "5 a client that may use none", text: "[" + reading + "]", allowed: []string{}},
		{name: "two payments in one approval", text: "[" + pay("1.00", "A") + "," + pay("2.00", "B") + "]"},
		{name: "12 a text that reorders what is shown", text: "[" + pay("1.00", "A\u202eMARK") + "]"},
		{name: "12 a text with a line of its own", text: `[{"type":"payment_initiation","instructedAmount":{"amount":"1.00","currency":"EUR"},"creditorName":"A\nMARK"}]`},
		{name: "12 a text that a phone leaves out", text: "[" + pay("1.00", "Ann {code}") + "]"},
		{name: "12 a text of blanks", text: "[" + pay("1.00", "  ") + "]"},
		{name: "12 longer than a phone shows", text: "[" + pay("1.00", strings.Repeat("x", 140)) + "]"},
		{name: "12 a text that is not shown and reorders what is signed", text: `[{"type":"payment_initiation","instructedAmount":{"amount":"1.00","currency":"EUR"},"creditorName":"A"},{"type":"free","note":"MARK\u202e"}]`, allowed: []string{"payment_initiation", "free"}},
		{name: "12 more than a phone signs", text: `[{"type":"payment_initiation","instructedAmount":{"amount":"1.00","currency":"EUR"},"creditorName":"A"},{"type":"free","note":"` + strings.Repeat("x", details.MaxSigned) + `"}]`, allowed: []string{"payment_initiation", "free"}},
		{name: "12 what nobody signs may be longer", text: `[{"type":"free","note":"` + strings.Repeat("x", details.MaxSigned) + `"}]`, allowed: []string{"free"}, want: details.Asked{Consent: true}},
		{name: "12 a template in a value is text", text: "[" + pay("1.00", "{creditorName} {type}") + "]", want: details.Asked{Realms: []string{"phone"}, Message: "Pay 1.00 EUR to {creditorName} {type}"}},
		{name: "12 markup in a value is text", text: "[" + pay("1.00", "<b>Ann</b>") + "]", want: details.Asked{Realms: []string{"phone"}, Message: "Pay 1.00 EUR to <b>Ann</b>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			allowed := both
			if tt.allowed != nil {
				allowed = tt.allowed
			}
			got, err := registry(t).Read(tt.text, allowed, "")
			if cmp.Equal(tt.want, details.Asked{}) {
				wantRefused(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (got.Details == nil) != (tt.text == "") {
				t.Errorf("the details are %s", got.Details)
			}
			if got.Details = nil; tt.want.Message == "-" {
				tt.want.Message = ""
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessagesByLanguage(t *testing.T) {
	t.Parallel()
	for locale, want := range map[string]string{
		"": "Pay", "nl": "Betaal", "nl-BE": "Betaal", "de nl": "Betaal", "de": "Pay", "en": "Pay", "nonsense-": "Pay", " nl ": "Betaal", "*": "Pay",
	} {
		asked, err := registry(t).Read("["+pay("1.00", "A")+"]", both, locale)
		if err != nil || !strings.HasPrefix(asked.Message, want+" ") {
			t.Errorf("in %q it is %q (%v), want %s", locale, asked.Message, err, want)
		}
	}
}

// TestOneOfAListReadsAsOne: what is shown of a list are as many words as it has.
func TestOneOfAListReadsAsOne(t *testing.T) {
	t.Parallel()
	words := details.Type{
		Name: "words", Schema: []byte(`{"properties":{"of":{"type":"array","items":{"type":"string"}}},"required":["of"]}`),
		Messages: map[string]string{"": "Say {of}"}, Realms: []string{"phone"},
	}
	r, err := details.New(words)
	if err != nil {
		t.Fatal(err)
	}
	for list, want := range map[string]string{
		`["read","write"]`: "Say read, write", `["read write"]`: "Say read write", `["read, write"]`: "", `["read","a,b"]`: "", `["a，b"]`: "", `[]`: "",
	} {
		asked, err := r.Read(`[{"type":"words","of":`+list+`}]`, []string{"words"}, "")
		if asked.Message != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", list, asked.Message, err)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	asked, err := registry(t).Read("["+reading+","+pay("1.00", "A")+"]", both, "")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := registry(t).Lines(asked.Details, "nl")
	if diff := cmp.Diff([]string{"See your accounts: list, read", "Betaal 1.00 EUR aan A"}, lines); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	small, err := details.New(accounts())
	if err != nil {
		t.Fatal(err)
	}
	_, err = small.Lines(asked.Details, "") // the type was taken out since
	wantRefused(t, err)
}

// RFC 9396 6: a token request may name less than was granted.
func TestRFC9396_6(t *testing.T) {
	t.Parallel()
	granted, err := oauth.ParseDetails("[" + reading + "," + pay("1.00", "A") + "]")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		allowed    []string
		want       string // "" is refused
	}{
		{"6 as granted", "", both, granted.String()},
		{"6 the same", granted.String(), both, granted.String()},
		{"6 one of them", "[" + reading + "]", both, `[{"actions":["list","read"],"type":"account_information"}]`},
		{"6.1 fewer actions", `[{"type":"account_information","actions":["read"]}]`, both, `[{"actions":["read"],"type":"account_information"}]`},
		{"6.1 more actions", `[{"type":"account_information","actions":["read","history"]}]`, both, ""},
		{"6.1 another amount", "[" + pay("1.01", "A") + "]", both, ""},
		{"6.1 a smaller amount is another", "[" + pay("0.50", "A") + "]", both, ""},
		{"6.1 the same payment twice", "[" + pay("1.00", "A") + "," + pay("1.00", "A") + "]", both, ""},
		{"6 malformed", "{}", both, ""},
		{"6 what does not fit its type", `[{"type":"account_information","actions":[]}]`, both, ""},
		{"what the client may have no longer is left out", "", []string{"account_information"}, `[{"actions":["list","read"],"type":"account_information"}]`},
		{"what the client may have no longer is refused", "[" + pay("1.00", "A") + "]", []string{"account_information"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := registry(t).Narrow(tt.text, granted, tt.allowed)
			if tt.want == "" {
				wantRefused(t, err)
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

// TestNarrowingIsWithinWhatWasGranted: whatever a client asks for at the token endpoint, it gets no right that it was not granted,
// and asking in two steps gives no more than asking in one.
func TestNarrowingIsWithinWhatWasGranted(t *testing.T) {
	t.Parallel()
	r := registry(t)
	word := rapid.SampledFrom([]string{"list", "read", "history"})
	one := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "payment") {
			return pay(rapid.SampledFrom([]string{"1.00", "2.00"}).Draw(t, "amount"), "A")
		}
		actions := rapid.SliceOfNDistinct(word, 1, 3, rapid.ID).Draw(t, "actions")
		return `{"type":"account_information","actions":["` + strings.Join(actions, `","`) + `"]}`
	})
	list := rapid.Custom(func(t *rapid.T) string {
		return "[" + strings.Join(rapid.SliceOfN(one, 1, 3).Draw(t, "list"), ",") + "]"
	})
	rapid.Check(t, func(t *rapid.T) {
		granted, err := oauth.ParseDetails(list.Draw(t, "granted"))
		if err != nil {
			t.Fatal(err)
		}
		first, err := r.Narrow(list.Draw(t, "first"), granted, both)
		if err != nil {
			return
		}
		if exceeds(first, granted) {
			t.Fatalf("%s exceeds %s", first, granted)
		}
		second, err := r.Narrow(list.Draw(t, "second"), first, both)
		if err == nil && exceeds(second, granted) {
			t.Fatalf("%s exceeds %s", second, granted)
		}
	})
}

// exceeds spells out every right, and reports whether one is had more often than it was granted.
func exceeds(asked, granted oauth.Details) bool {
	rights := map[string]int{}
	count := func(d oauth.Details, by int) {
		for _, detail := range d {
			actions, ok := detail.Value()["actions"].([]any)
			if !ok {
				rights[detail.String()] += by
			}
			for _, action := range actions {
				rights[action.(string)] += by
			}
		}
	}
	count(granted, 1)
	count(asked, -1)
	for _, left := range rights {
		if left < 0 {
			return true
		}
	}
	return false
}

func TestTypesThatAreRefused(t *testing.T) {
	t.Parallel()
	with := func(change func(*details.Type)) details.Type {
		typ := accounts()
		change(&typ)
		return typ
	}
	schema := func(text string) details.Type { return with(func(t *details.Type) { t.Schema = []byte(text) }) }
	message := func(text string) details.Type {
		return with(func(t *details.Type) { t.Messages = map[string]string{"": text} })
	}
	for _, tt := range []struct {
		name  string
		types []details.Type
		want  string
	}{
		{"no name", []details.Type{with(func(t *details.Type) { t.Name = "" })}, "name"},
		{"a name of two words", []details.Type{with(func(t *details.Type) { t.Name = "a b" })}, "name"},
		{"twice", []details.Type{accounts(), accounts()}, "twice"},
		{"a message of values alone", []details.Type{message("{actions}")}, "words of its own"},
		{"no schema", []details.Type{schema("")}, "schema"},
		{"a schema that is no JSON", []details.Type{schema("{")}, "schema"},
		{"a schema that is no object", []details.Type{schema("true")}, "object"},
		{"a schema that is none", []details.Type{schema(`{"type":"nothing"}`)}, "schema"},
		{"a schema that is too long", []details.Type{schema(`{"title":"` + strings.Repeat("x", details.MaxSchema) + `"}`)}, "longer"},
		{"a schema that refers to a file", []details.Type{schema(`{"$ref":"file:///etc/passwd"}`)}, "itself only"},
		{"a schema that refers elsewhere", []details.Type{schema(`{"properties":{"a":{"$ref":"https://example.com/schema"}}}`)}, "itself only"},
		{"a schema in a dialect of elsewhere", []details.Type{schema(`{"$schema":"https://example.com/dialect"}`)}, "itself only"},
		{"a schema that admits no type", []details.Type{schema(`{"properties":{"a":{}},"additionalProperties":false}`)}, "type"},
		{"no message", []details.Type{with(func(t *details.Type) { t.Messages = map[string]string{"en": "x"} })}, "no message"},
		{"an empty message", []details.Type{message(" ")}, "words of its own"},
		{"a place without an end", []details.Type{message("Pay {amount")}, "place"},
		{"a place without a beginning", []details.Type{message("Pay amount}")}, "brace"},
		{"a place within a place", []details.Type{message("Pay {a{b}}")}, "place"},
		{"an empty place", []details.Type{message("Pay {}")}, "place"},
		{"an empty name in a place", []details.Type{message("Pay {a..b}")}, "place"},
		{"a message in two lines", []details.Type{message("Pay\n{a}")}, "shown"},
		{"a message that is too long", []details.Type{message(strings.Repeat("x", details.MaxMessage+1))}, "shown"},
		{"a message in no language", []details.Type{with(func(t *details.Type) { t.Messages["no language"] = "x" })}, "language"},
		{"fewer types", []details.Type{with(func(t *details.Type) { t.Lists = []string{"type"} })}, "fewer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := details.New(tt.types...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to speak of %q", err, tt.want)
			}
		})
	}
}

// A schema of an older draft, or one that admits no further properties, is as strict.
func TestSchemasOfOtherKinds(t *testing.T) {
	t.Parallel()
	for name, schema := range map[string]string{
		"draft 7":               `{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"n":{"type":"integer"}},"properties":{"n":{"$ref":"#/definitions/n"}}}`,
		"no further properties": `{"properties":{"type":{"type":"string"},"n":{"type":"integer"}},"additionalProperties":false}`,
		"a reference to itself": `{"$defs":{"n":{"type":"integer"}},"properties":{"n":{"$ref":"#/$defs/n"}}}`,
		"parts":                 `{"allOf":[{"properties":{"n":{"type":"integer"}}}]}`,
	} {
		r, err := details.New(details.Type{Name: "t", Schema: []byte(schema), Messages: map[string]string{"": "Do it"}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := r.Read(`[{"type":"t","n":1}]`, []string{"t"}, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range []string{`[{"type":"t","n":"1"}]`, `[{"type":"t","m":1}]`} {
			if _, err := r.Read(text, []string{"t"}, ""); err == nil {
				t.Errorf("%s: %s is accepted", name, text)
			}
		}
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := registry(t)
	if diff := cmp.Diff([]string{"account_information", "free", "payment_initiation"}, r.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"phone"}, r.Realms()); diff != "" {
		t.Errorf("realms (-want +got):\n%s", diff)
	}
	if !r.Once("payment_initiation") || r.Once("account_information") || r.Once("other") {
		t.Error("which approvals are good once is wrong")
	}
	var none *details.Registry
	if none.Names() != nil || none.Realms() != nil || none.Once("a") {
		t.Error("no registry knows a type")
	}
	_, err := none.Read("["+reading+"]", both, "")
	wantRefused(t, err)
	if _, err := none.Read("", nil, ""); err != nil {
		t.Error(err)
	}
}

// FuzzRead: what is accepted can be shown, is kept as it is, and is within itself.
func FuzzRead(f *testing.F) {
	f.Add("["+pay("1.00", "A")+"]", "nl")
	f.Add("["+reading+"]", "en-GB fr")
	f.Add(`[{"type":"account_information","actions":["read","read"]}]`, "")
	r := registry(f)
	f.Fuzz(func(t *testing.T, text, locale string) {
		asked, err := r.Read(text, both, locale)
		if err != nil || text == "" {
			return
		}
		lines, err := r.Lines(asked.Details, locale)
		if err != nil || len(lines) != len(asked.Details) {
			t.Fatalf("%s cannot be shown: %v", asked.Details, err)
		}
		for _, line := range lines {
			if strings.ContainsAny(line, "\n\r\t\x00\u202e") || line == "" {
				t.Fatalf("%s is shown as %q", asked.Details, line)
			}
		}
		if kept, err := r.Narrow(asked.Details.String(), asked.Details, both); err != nil || kept.String() != asked.Details.String() {
			t.Fatalf("%s is not within itself: %v", asked.Details, err)
		}
		if (asked.Message == "") != (len(asked.Realms) == 0) {
			t.Fatalf("%v approve %q", asked.Realms, asked.Message)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	r := registry(b)
	text := "[" + pay("12.50", "Ann") + "]"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(text, both, "nl"); err != nil {
			b.Fatal(err)
		}
	}
}
