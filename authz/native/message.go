// SPDX-License-Identifier: Apache-2.0

package native

import (
	"cmp"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// granted is the answer to a request whose every requirement is met (5.2.1).
type granted struct {
	Code        string    `json:"authorization_code"`
	AuthSession string    `json:"auth_session"`
	Notices     []*notice `json:"notices,omitempty"`
}

// insufficient says what is missing (5.2.2).
type insufficient struct {
	Error       oauth.Code            `json:"error"`
	Description string                `json:"error_description"`
	AuthSession string                `json:"auth_session"`
	ExpiresIn   int64                 `json:"expires_in"`
	Challenges  map[string]*challenge `json:"challenges"`
	Notices     []*notice             `json:"notices,omitempty"`
}

// challenge is what one realm asks.
type challenge struct {
	Fields  []field           `json:"fields,omitempty"`
	Message string            `json:"message,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
	Notice  *notice           `json:"notice,omitempty"`
	Failure *failure          `json:"failure,omitempty"`

	refused string // the realm's own text for after a refusal
}

type field struct {
	Name         string `json:"name"`
	Label        string `json:"label"`
	Type         string `json:"type"`
	Value        string `json:"value,omitempty"`
	Autocomplete string `json:"autocomplete,omitempty"`
	InputMode    string `json:"input_mode,omitempty"`
	Required     bool   `json:"required,omitempty"`
}

// notice is something that people are told. Outside a challenge it says which realm has accepted them with it.
type notice struct {
	Realm string `json:"realm,omitempty"`
	ID    string `json:"id,omitempty"`
	Text  string `json:"text"`
	URL   string `json:"url,omitempty"`
}

// failure says that an answer led nowhere. It is the same whatever was wrong with it.
type failure struct {
	Code       string `json:"code"` // refused, throttled, busy or unavailable
	Message    string `json:"message,omitempty"`
	RetryAfter int64  `json:"retry_after,omitempty"` // seconds; the app says it in its own words
}

const failureUnavailable = "unavailable"

// textOf maps a failure to the key of the text that people read.
var textOf = map[string]string{
	string(realm.Refused): "login.refused",
	string(realm.Busy):    "login.busy",
	failureUnavailable:    "login.busy",
}

// write fills in what a realm asks.
func (c *challenge) write(asked *realm.Challenge, text func(string) string) {
	if asked == nil {
		return
	}
	c.Message, c.Data, c.Notice, c.refused = text(asked.Message), asked.Data, notified(asked.Notice), asked.Refused
	for _, f := range asked.Fields {
		shown := field{
			Name: f.Name, Label: text(f.Label), Type: f.Type, Value: f.Value, Autocomplete: f.Autocomplete, InputMode: f.InputMode,
			Required: f.Required,
		}
		if shown.Type == "" {
			shown.Type = "text"
		}
		if shown.Type == "password" {
			shown.Value = ""
		}
		c.Fields = append(c.Fields, shown)
	}
}

// fail says that an answer led nowhere.
func (c *challenge) fail(code string, after time.Duration, text func(string) string) {
	key := textOf[code]
	if code == string(realm.Refused) {
		key = cmp.Or(c.refused, key)
	}
	c.Failure = &failure{Code: code, Message: text(key), RetryAfter: int64((after + time.Second - 1) / time.Second)}
}

func notified(n *realm.Notice) *notice {
	if n == nil {
		return nil
	}
	return &notice{ID: n.ID, Text: n.Text, URL: n.URL}
}
