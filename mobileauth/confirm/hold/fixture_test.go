// SPDX-License-Identifier: Apache-2.0

package hold_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/tests/payer"
)

const (
	user   = payer.User
	client = payer.Client
)

var must = payer.Must

// world is somebody who pays, and who has their requests admitted.
type world struct {
	*payer.World
	holder *hold.Holder
}

func newWorld(t testing.TB, change ...func(*hold.Config)) *world {
	t.Helper()
	w := &world{World: payer.New(t, 0)}
	c := hold.Config{Store: w.Store, Operations: w.Operations, Now: w.Clock.Now, Seats: hold.Seats{User: 1 << 20}}
	for _, fn := range change {
		fn(&c)
	}
	var err error
	w.holder, err = hold.New(c)
	must(t, err)
	return w
}

// rule has payments confirmed.
func rule(t testing.TB, change ...func(*hold.Rule)) *hold.Rule {
	t.Helper()
	message, err := confirm.ParseTemplate("Pay {json.amount} to {json.to}")
	must(t, err)
	r := &hold.Rule{Name: "rule", Type: "pin", Message: message}
	for _, fn := range change {
		fn(r)
	}
	return r
}

const payment = `{"amount":10,"to":"Ann"}`

// request pays ten to Ann.
func request(ctx context.Context, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "https://api.example.com/transfers?a=1&b=2", strings.NewReader(payment))
	r.Header.Set("Content-Type", "application/json")
	for _, fn := range change {
		fn(r)
	}
	return r
}

// caller is the user with a client.
func caller(operations ...string) *hold.Caller {
	return &hold.Caller{
		Owner: confirm.Owner{UserID: user, ClientID: client, Session: "session:1"}, Operations: operations,
		Site: "https://api.example.com", Asked: "/transfers?a=1&b=2", StatusURL: "https://api.example.com/_gatehouse/confirm/",
	}
}

// told is what a caller is told.
type told struct {
	Status    int         `json:"-"`
	Code      string      `json:"code"`
	Field     string      `json:"field"`
	Operation string      `json:"operation"`
	State     string      `json:"state"`
	Number    string      `json:"number"`
	StatusURL string      `json:"status_url"`
	Expires   time.Time   `json:"expires"`
	Header    http.Header `json:"-"`
}

// send has a request admitted, and returns by what it passes or what its caller is told.
func (w *world) send(r *http.Request, rule *hold.Rule, c *hold.Caller) (*hold.Passed, told) {
	recorder := &hinted{ResponseRecorder: httptest.NewRecorder()}
	passed := w.holder.Admit(recorder, r, rule, c)
	answer := told{Status: recorder.Code, Header: recorder.Header()}
	_ = json.Unmarshal(recorder.Body.Bytes(), &answer) // there is none of a request that passes
	return passed, answer
}
