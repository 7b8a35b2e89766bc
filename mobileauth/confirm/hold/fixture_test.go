// SPDX-License-Identifier: Apache-2.0

package hold_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

var errDown = errors.New("the store is down")

func must(t interface {
	Helper()
	Fatal(...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failer is what both tests and property tests are.
type failer interface {
	Helper()
	Fatal(...any)
	Context() context.Context
}

// people are all people there are.
type people struct{ mobiletest.Users }

func (*people) Person(storage.Tx, string) (asking.Person, error) { return asking.Person{}, nil }

// node is what one server has over a store.
type node struct {
	*confirm.Store
	operations *operation.Store
	handset    *handset.Store
	trail      *audit.Trail
}

// world is a store with a phone, and any number of nodes over it.
type world struct {
	t      failer
	db     *storagetest.FaultyDB
	clock  *storagetest.Clock
	people *people
	*node
	holder *hold.Holder
	phone  string
	keys   envelope.Keys
	secret envelope.Secret
}

const (
	user   = "usr_1"
	client = "portal"
	window = time.Minute
)

func newWorld(t testing.TB, change ...func(*hold.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: storagetest.NewClock(), people: new(people), keys: mobiletest.Keys(t)}
	w.db = engines.All[0].Open(t, w.clock.Now)
	w.node = w.join()
	w.enrol()
	c := hold.Config{Store: w.Store, Operations: w.operations, Now: w.clock.Now, Seats: hold.Seats{User: 1 << 20}}
	for _, fn := range change {
		fn(&c)
	}
	var err error
	w.holder, err = hold.New(c)
	must(t, err)
	return w
}

// join starts another node, or the same one again.
func (w *world) join(change ...func(*confirm.Config)) *node {
	w.t.Helper()
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(w.t, err)
	n := new(node)
	n.trail, err = audit.New(audit.Config{DB: w.db, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now})
	must(w.t, err)
	n.handset, err = handset.New(handset.Config{DB: w.db, Sealer: sealer, Users: w.people, Audit: n.trail, Now: w.clock.Now})
	must(w.t, err)
	n.operations, err = operation.New(operation.Config{
		DB: w.db, Sealer: sealer, Users: w.people, Devices: n.handset, Audit: n.trail, Now: w.clock.Now, Limits: operation.Limits{Open: 8},
	})
	must(w.t, err)
	types, err := mobiletype.New([]mobiletype.Type{
		{Name: "pin", Method: mobiletype.PushPIN, Messages: map[string]string{"en": "Sign in"}},
	}, mobiletype.Config{})
	must(w.t, err)
	asks, err := asking.New(asking.Config{DB: w.db, Operations: n.operations, Devices: n.handset, People: w.people, Types: types})
	must(w.t, err)
	c := confirm.Config{DB: w.db, Operations: n.operations, Ask: hold.AskBy(asks), Audit: n.trail, Now: w.clock.Now, Window: window}
	for _, fn := range change {
		fn(&c)
	}
	n.Store, err = confirm.New(c)
	must(w.t, err)
	return n
}

// enrol gives the user a phone with a PIN.
func (w *world) enrol() {
	w.t.Helper()
	var err error
	w.secret, err = envelope.NewSecret()
	must(w.t, err)
	d := handset.Device{
		ID: handset.NewID(), UserID: user, Name: "Phone", Application: "bank", Platform: "ios", Status: handset.Active,
		Factors: []handset.Factor{{Kind: envelope.FactorPIN, Secret: w.secret[:]}},
	}
	must(w.t, d.SetKeys(w.keys.Public()))
	must(w.t, w.db.Update(w.t.Context(), func(tx storage.Tx) error {
		stored := d
		return w.handset.Put(tx, &stored, audit.Actor{By: "operator"})
	}))
	w.phone = d.ID
}

// answer has the phone decide.
func (w *world) answer(id string, decision envelope.Decision) error {
	o, err := w.operations.Get(w.t.Context(), id)
	if err != nil {
		return err
	}
	now := w.clock.Now()
	said := envelope.Statement{
		Device: w.phone, Audience: "https://id.example.com", ID: envelope.NewID(), At: now, Purpose: envelope.PurposeApproval, Operation: o.ID,
		DisplayHash: envelope.DisplayHash(o.Display), Decision: decision,
	}
	if decision == envelope.Approve {
		said.Number, said.Method = o.Number, envelope.FactorPIN
	} else {
		said.Reason = "denied"
	}
	statement, err := envelope.SignStatement(said, w.keys)
	if err != nil {
		return err
	}
	a := operation.Answer{
		Message:   handset.Message{DeviceID: w.phone, KID: w.keys.Public().Sign.ID(), JTI: envelope.NewID(), IssuedAt: now},
		Statement: statement, Factors: envelope.Factors{},
	}
	if decision == envelope.Approve {
		a.Factors[envelope.FactorPIN] = statement.MAC(w.secret)
	}
	out, err := w.operations.Answer(w.t.Context(), a)
	if err == nil && out.Code != operation.Accepted {
		return fmt.Errorf("the answer is %s: %s", out.Code, out.Reason)
	}
	return err
}

func (w *world) approve(id string) {
	w.t.Helper()
	must(w.t, w.answer(id, envelope.Approve))
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
