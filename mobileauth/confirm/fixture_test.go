// SPDX-License-Identifier: Apache-2.0

package confirm_test

import (
	"slices"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/tests/payer"
)

const (
	user   = payer.User
	client = payer.Client
)

var must = payer.Must

// world is somebody who pays.
type world struct{ *payer.World }

func newWorld(t testing.TB, engine int, change ...func(*confirm.Config)) *world {
	t.Helper()
	return &world{payer.New(t, engine, change...)}
}

// question is a request that pays ten to Ann.
func question(change ...func(*confirm.Question)) confirm.Question {
	q := confirm.Question{
		Owner:   confirm.Owner{UserID: user, ClientID: client, Session: "session:1", Rule: "rule"},
		Binding: confirm.Bind(transfer(`{"amount":10,"to":"Ann"}`), nil), Type: "pin", Message: "Pay 10 to Ann",
	}
	for _, fn := range change {
		fn(&q)
	}
	return q
}

// ask starts a confirmation that has to start.
func (w *world) ask(change ...func(*confirm.Question)) operation.Operation {
	w.T.Helper()
	o, created, err := w.Start(w.T.Context(), question(change...))
	must(w.T, err)
	if !created {
		w.T.Fatal("it was there already")
	}
	return o
}

// redeem has the request of a question pass, or not.
func (w *world) redeem(id string, q confirm.Question) confirm.Redeemed {
	w.T.Helper()
	r, err := w.Redeem(w.T.Context(), id, q.Owner, q.Binding)
	must(w.T, err)
	return r
}

// reasons are what the trail says of refused redemptions.
func (w *world) reasons(id string) []string {
	w.T.Helper()
	page, err := w.Trail.Query(w.T.Context(), audit.Query{Operation: id})
	must(w.T, err)
	var all []string
	for _, e := range page.Events {
		if e.Name == "operation.redeem" && e.Outcome == audit.Refused {
			all = append(all, e.Reason)
		}
	}
	slices.Sort(all)
	return all
}

// transfer is a request with a body of JSON.
func transfer(body string, change ...func(*confirm.Request)) *confirm.Request {
	header := map[string][]string{"Content-Type": {"application/json"}, "Currency": {"EUR"}}
	r := &confirm.Request{
		Method: "POST", Origin: "https://api.example.com", Asked: "/v1/transfers/7%2F8?to=Ann&n=1", Path: "/transfers/7%2F8", Query: "to=Ann&n=1",
		Header: func(name string) []string { return header[name] }, Body: []byte(body),
	}
	for _, fn := range change {
		fn(r)
	}
	return r
}
