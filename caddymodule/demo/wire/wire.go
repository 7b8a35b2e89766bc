// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// maxBody bounds what is read of a message, in bytes; maxShown how much of one is shown unless more is wanted, in characters.
	maxBody  = 1 << 20
	maxShown = 900
	// maxWord is how much is shown of a long word, such as a token, in characters.
	maxWord = 48
)

// Field is one field of a message's header.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Message is what is shown of a request or an answer: the fields that the product is about, and what people can read of the body, in one
// line.
type Message struct {
	Header []Field `json:"header"`
	Body   string  `json:"body"`
}

// Exchange is a request and its answer, as they are shown.
type Exchange struct {
	// Party is who asked.
	Party  string  `json:"party"`
	Method string  `json:"method"`
	URL    string  `json:"url"`
	Sent   Message `json:"sent"`
	// Status is the status line of the answer, such as "200 OK".
	Status string  `json:"status"`
	Got    Message `json:"got"`
}

// Wire is a transport that shows what one party says to the server, and what it answers. Of secrets and tokens it shows no more than
// that they are there. It may be used by several goroutines where Show may.
type Wire struct {
	// Party is who asks.
	Party string
	// Base sends. Required.
	Base http.RoundTripper
	// Show is called with each exchange when its answer has been read. Required.
	Show func(Exchange)
	// Longest is how much is shown of a body, in characters. Default: 900.
	Longest int
}

// RoundTrip sends a request, and shows it and its answer.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := taken(r.Body)
	if err != nil {
		return nil, err
	}
	if sent != nil {
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	response, err := w.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := taken(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(got))
	w.Show(Exchange{
		Party: w.Party, Method: r.Method, URL: withoutQuery(r.URL), Status: response.Status,
		Sent: Message{fields(r.Header, asking), w.body(r.Header.Get("Content-Type"), sent)},
		Got:  Message{fields(response.Header, answering), w.body(response.Header.Get("Content-Type"), got)},
	})
	return response, nil
}

// String is the exchange as a terminal shows it.
func (e Exchange) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "  %-8s → %s %s\n%s", e.Party, e.Method, e.URL, e.Sent)
	fmt.Fprintf(&text, "  %-8s ← %s\n%s", e.Party, e.Status, e.Got)
	return text.String()
}

// String is the message below its first line.
func (m Message) String() string {
	var text strings.Builder
	for _, f := range m.Header {
		fmt.Fprintf(&text, "%13s%s: %s\n", "", f.Name, f.Value)
	}
	if m.Body != "" {
		fmt.Fprintf(&text, "%13s%s\n", "", m.Body)
	}
	return text.String()
}

// taken reads a body to its end; nil where there is none.
func taken(body io.ReadCloser) ([]byte, error) {
	if body == nil || body == http.NoBody {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(body, maxBody))
	if closing := body.Close(); err == nil {
		err = closing
	}
	return data, err
}

// Fields of the header that are shown: the ones that the product is about.
var (
	asking    = []string{"Authorization", "Gatehouse-Operation", "Idempotency-Key"}
	answering = []string{"Www-Authenticate", "Location"}
)

// withoutQuery is an address with the names of its parameters alone.
func withoutQuery(u *url.URL) string {
	shown := *u
	shown.RawQuery = ""
	query := u.Query()
	if len(query) == 0 {
		return shown.String()
	}
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name+"="+word(name, query.Get(name)))
	}
	slices.Sort(names)
	return shown.String() + "?" + strings.Join(names, "&")
}

func fields(header http.Header, names []string) []Field {
	shown := []Field{}
	for _, name := range names {
		for _, value := range header.Values(name) {
			if scheme, credential, ok := strings.Cut(value, " "); ok && name == "Authorization" {
				value = scheme + " " + hide(credential)
			}
			shown = append(shown, Field{name, value})
		}
	}
	return shown
}

// body is what people can read of a body, in one line.
func (w *Wire) body(contentType string, body []byte) string {
	if len(body) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(contentType, ";")
	shown := fmt.Sprintf("(%d bytes of %s)", len(body), kind)
	var value any
	switch {
	case kind == "application/jose":
		shown = fmt.Sprintf("(%d bytes, sealed: signed by who sends them, readable to who gets them alone)", len(body))
	case kind == "application/x-www-form-urlencoded":
		if form, err := url.ParseQuery(string(body)); err == nil {
			shown = readable(formed(form))
		}
	case strings.HasSuffix(kind, "json") && json.Unmarshal(body, &value) == nil:
		shown = readable(concealed("", value))
	}
	longest := cmp.Or(w.Longest, maxShown)
	if letters := []rune(shown); len(letters) > longest {
		shown = string(letters[:longest]) + "…"
	}
	return shown
}

func formed(form url.Values) map[string]any {
	fields := map[string]any{}
	for name := range form {
		fields[name] = word(name, form.Get(name))
		if name == "code" { // in an answer it is the name of an error
			fields[name] = hide(form.Get(name))
		}
	}
	return fields
}

// readable is JSON without escapes that only browsers need.
func readable(value any) string {
	var text strings.Builder
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	if to.Encode(value) != nil {
		return ""
	}
	return strings.TrimSpace(text.String())
}

// secrets are the names of what proves something to whoever has it.
var secrets = []string{
	"password", "secret", "client_secret", "code_verifier", "authorization_code", "access_token", "refresh_token", "id_token",
	"auth_session", "answers", "qr", "link", "activation_code",
}

// concealed returns a value of JSON that may be shown: without what proves something, and with long words cut short.
func concealed(name string, value any) any {
	switch value := value.(type) {
	case string:
		return word(name, value)
	case map[string]any:
		for key, inner := range value {
			value[key] = concealed(key, inner)
		}
	case []any:
		for i, inner := range value {
			value[i] = concealed(name, inner)
		}
	}
	return value
}

func word(name, text string) string {
	if slices.Contains(secrets, name) {
		return hide(text)
	}
	if letters := []rune(text); len(letters) > maxWord && !strings.Contains(text, " ") {
		return string(letters[:maxWord]) + "…"
	}
	return text
}

// hide shows that there is something.
func hide(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("‹%d characters›", len(text))
}
