// SPDX-License-Identifier: Apache-2.0

package tour

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// maxBody bounds what is read of a message, in bytes; maxShown how much of one is shown, in characters.
	maxBody  = 1 << 20
	maxShown = 900
	// maxWord is how much is shown of a long word, such as a token, in characters.
	maxWord = 48
)

// wire shows what one party says to the server, and what it answers.
type wire struct {
	party string
	out   io.Writer
	base  http.RoundTripper
}

// RoundTrip sends a request, and shows it and its answer. Of secrets and tokens it shows no more than that they are there.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := taken(r.Body)
	if err != nil {
		return nil, err
	}
	if sent != nil {
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	response, err := w.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := taken(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(got))
	w.show(r, sent, response, got)
	return response, nil
}

// taken reads a body to its end.
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

func (w *wire) show(r *http.Request, sent []byte, response *http.Response, got []byte) {
	var text strings.Builder
	fmt.Fprintf(&text, "  %-8s → %s %s\n", w.party, r.Method, withoutQuery(r.URL))
	writeHeader(&text, r.Header, asking)
	writeBody(&text, r.Header.Get("Content-Type"), sent)
	fmt.Fprintf(&text, "  %-8s ← %s\n", w.party, response.Status)
	writeHeader(&text, response.Header, answering)
	writeBody(&text, response.Header.Get("Content-Type"), got)
	_, _ = io.WriteString(w.out, text.String()) // a terminal that is gone reads nothing either
}

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

func writeHeader(to *strings.Builder, header http.Header, names []string) {
	for _, name := range names {
		for _, value := range header.Values(name) {
			if scheme, credential, ok := strings.Cut(value, " "); ok && name == "Authorization" {
				value = scheme + " " + hide(credential)
			}
			fmt.Fprintf(to, "%13s%s: %s\n", "", name, value)
		}
	}
}

// writeBody shows what people can read of a body, in one line.
func writeBody(to *strings.Builder, contentType string, body []byte) {
	if len(body) == 0 {
		return
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
	if letters := []rune(shown); len(letters) > maxShown {
		shown = string(letters[:maxShown]) + "…"
	}
	fmt.Fprintf(to, "%13s%s\n", "", shown)
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
