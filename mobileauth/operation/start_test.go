// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestStart(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		start := operation.Start{
			Kind: operation.Authorisation, UserID: "usr_1", DeviceID: p.id, Application: "bank", ClientID: "portal", ExternalID: "order 7",
			Methods: []string{"biometric"}, TimeToLive: 5 * time.Minute, NumberMatch: 6, Callback: "https://portal.example/done",
			Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			Context: operation.Context{
				Title: "Zahlung", Content: "Grüße\nan Ann", Language: "de-at",
				Fields: []operation.Field{
					{Type: "amount", Label: "Betrag", Value: "12.50", Currency: "EUR"}, {Type: "payee", Label: "An", Value: `Ann & "Söhne"`},
				},
			},
		}
		o, created, err := w.Start(t.Context(), start)
		must(t, err)
		if !created {
			t.Error("not created")
		}
		want := operation.Operation{
			ID: o.ID, Kind: operation.Authorisation, State: operation.Pending, UserID: "usr_1", DeviceID: p.id, Application: "bank",
			ClientID: "portal", ExternalID: "order 7", Methods: []string{"biometric"}, Display: o.Display,
			DisplayHash: envelope.DisplayHash(o.Display), Number: o.Number, CallbackURL: start.Callback, Traceparent: start.Traceparent,
			Way: operation.Way{Channel: operation.ByPush}, SentAt: w.clock.Now(), Push: operation.PushQueued, CreatedAt: w.clock.Now(), AnswerBy: w.clock.Now().Add(5 * time.Minute), Version: 1,
		}
		for _, got := range []operation.Operation{o, w.get(o.ID)} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		shown := fmt.Sprintf(`{"v":1,"operation":"%s","kind":"authorisation","application":"bank","title":"Zahlung",`+
			`"content":"Grüße\nan Ann","fields":[{"type":"amount","label":"Betrag","value":"12.50","currency":"EUR"},`+
			`{"type":"payee","label":"An","value":"Ann & \"Söhne\""}],"language":"de-AT","created":%d,"expires":%d,`+
			`"number_match":6,"methods":["biometric"]}`, o.ID, o.CreatedAt.Unix(), o.AnswerBy.Unix())
		if diff := cmp.Diff(shown, string(o.Display)); diff != "" {
			t.Errorf("display (-want +got):\n%s", diff)
		}
		if _, err := envelope.ParseDisplay(o.Display, o.ID); err != nil {
			t.Errorf("a device does not read it: %v", err)
		}
		if !regexp.MustCompile(`^[0-9]{6}$`).MatchString(o.Number) || strings.Contains(string(o.Display), o.Number) {
			t.Errorf("number %q", o.Number)
		}
	})
}

func TestStartDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	for _, test := range []struct {
		kind    operation.Kind
		methods []string
		digits  int
	}{
		{operation.Authentication, []string{"possession"}, 2},
		{operation.Authorisation, []string{"pin"}, 2},
		{operation.Signature, []string{"pin"}, 2},
		{operation.Registration, []string{"possession"}, 0},
	} {
		o := w.ask("usr_1", func(s *operation.Start) { s.Kind, s.NumberMatch = test.kind, 0 })
		if diff := cmp.Diff(test.methods, o.Methods); diff != "" || len(o.Number) != test.digits || o.AnswerBy.Sub(o.CreatedAt) != 2*time.Minute {
			t.Errorf("%s: methods %v, number of %d digits, %s", test.kind, o.Methods, len(o.Number), o.AnswerBy.Sub(o.CreatedAt))
		}
	}
}

func TestStartInvalid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, func(c *operation.Config) { c.Limits.LeastNumber, c.Limits.Number = 6, 6 })
	w.phone("usr_1")
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		field  string
		change func(*operation.Start)
	}{
		{"kind", func(s *operation.Start) { s.Kind = "payment" }},
		{"user_id", func(s *operation.Start) { s.UserID = "" }},
		{"user_id", func(s *operation.Start) { s.UserID = "a\nb" }},
		{"device_id", func(s *operation.Start) { s.DeviceID = long(257) }},
		{"client_id", func(s *operation.Start) { s.ClientID = "a\x00b" }},
		{"external_id", func(s *operation.Start) { s.ExternalID = "\u202e" }},
		{"external_id", func(s *operation.Start) { s.ExternalID = "\xff" }},
		{"idempotency_key", func(s *operation.Start) { s.IdempotencyKey = long(257) }},
		{"callback", func(s *operation.Start) { s.Callback = long(2049) }},
		{"traceparent", func(s *operation.Start) { s.Traceparent = long(65) }},
		{"methods[0]", with("sms")},
		{"methods[1]", with("pin", "pin")},
		{"methods", with("pin", "biometric", "custom:a", "custom:b", "custom:c", "custom:d", "custom:e", "custom:f", "custom:g")},
		{"time_to_live", func(s *operation.Start) { s.TimeToLive = 601 * time.Second }},
		{"time_to_live", func(s *operation.Start) { s.TimeToLive = -time.Second }},
		{"number_match", digits(operation.NoNumber)},
		{"number_match", digits(5)},
		{"number_match", digits(9)},
		{"number_match", digits(-2)},
		{"registration", func(s *operation.Start) { s.Registration = json.RawMessage(`{}`) }},
		{"registration", func(s *operation.Start) {
			s.Kind, s.Registration = operation.Registration, json.RawMessage(`"`+long(16<<10)+`"`)
		}},
		{"context", func(s *operation.Start) { s.Context = operation.Context{Language: "en"} }},
		{"context.title", func(s *operation.Start) { s.Context.Title = long(101) }},
		{"context.content", func(s *operation.Start) { s.Context.Content = long(1001) }},
		{"context.content", func(s *operation.Start) { s.Context.Content = long(1 << 20) }},
		{"context.content", func(s *operation.Start) { s.Kind, s.Context.Content = operation.Authentication, long(156) }},
		{"context.content", func(s *operation.Start) { s.Kind, s.Context.Content = operation.Authentication, "a\nb" }},
		{"context.content", func(s *operation.Start) { s.Kind, s.Context.Content = operation.Signature, long(4001) }},
		{"context", func(s *operation.Start) { s.Kind, s.Context.Content = operation.Signature, strings.Repeat("漢", 4000) }},
		{"context", func(s *operation.Start) { s.Kind, s.Context.Content = operation.Signature, strings.Repeat(`"`, 2000) }},
	} {
		start := question("usr_1", digits(6), test.change)
		_, _, err := w.Start(t.Context(), start)
		var field *operation.FieldError
		if !errors.As(err, &field) || field.Field != test.field || !errors.Is(err, operation.ErrInvalid) {
			t.Errorf("%s: %v", test.field, err)
		}
	}
	if open := w.standing("usr_1").Open; len(open) != 0 {
		t.Errorf("%d were started all the same", len(open))
	}
}

func TestStartRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before func(w *world) operation.Start
		want   error
	}{
		{"a locked user", func(w *world) operation.Start {
			w.phone("usr_1")
			w.inactive("usr_1")
			return question("usr_1")
		}, operation.ErrUser},
		{"a user without a device", func(*world) operation.Start { return question("usr_1") }, operation.ErrDevice},
		{"a user whose only device is locked", func(w *world) operation.Start {
			_, err := w.handset.Lock(w.t.Context(), w.phone("usr_1").id, "")
			must(w.t, err)
			return question("usr_1")
		}, operation.ErrDevice},
		{"a user whose only device is in quarantine", func(w *world) operation.Start {
			w.phone("usr_1", func(d *handset.Device) { d.Status = handset.Quarantined })
			return question("usr_1")
		}, operation.ErrDevice},
		{"a factor that no device has", func(w *world) operation.Start {
			w.phone("usr_1", func(d *handset.Device) { d.Factors = d.Factors[1:] })
			return question("usr_1", with("pin"))
		}, operation.ErrDevice},
		{"an app that no device has", func(w *world) operation.Start {
			w.phone("usr_1")
			return question("usr_1", func(s *operation.Start) { s.Application = "shop" })
		}, operation.ErrDevice},
		{"an unknown device", func(w *world) operation.Start {
			w.phone("usr_1")
			return question("usr_1", func(s *operation.Start) { s.DeviceID = "dev_aaaaaaaaaaaaaaaaaaaaaaaaaa" })
		}, operation.ErrDevice},
		{"another user's device", func(w *world) operation.Start {
			w.phone("usr_1")
			return question("usr_1", at(w.phone("usr_2")))
		}, operation.ErrDevice},
		{"the sixth that is open", func(w *world) operation.Start {
			w.phone("usr_1")
			for range 5 {
				w.ask("usr_1")
			}
			return question("usr_1")
		}, operation.ErrTooManyOpen},
		{"a store that is down", func(w *world) operation.Start {
			w.phone("usr_1")
			w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: errDown, Nth: 1})
			return question("usr_1")
		}, errDown},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			start := test.before(w)
			before := len(w.standing("usr_1").Open)
			o, created, err := w.Start(t.Context(), start)
			if !errors.Is(err, test.want) || created || o.ID != "" {
				t.Errorf("%v, created %t", err, created)
			}
			if open := w.standing("usr_1").Open; len(open) != before {
				t.Errorf("%d are open, before %d", len(open), before)
			}
		})
	}
}

// TestShares: one client has two questions open, all that name the user three, and the user's own find a place still. What ends
// gives its place back to whose it was.
func TestShares(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		p := w.phone("usr_1")
		first := w.ask("usr_1", naming("shop"))
		w.ask("usr_1", naming("shop"))
		refused := func(change func(*operation.Start), want error) {
			t.Helper()
			if _, _, err := w.Start(t.Context(), question("usr_1", change)); !errors.Is(err, want) || !errors.Is(err, operation.ErrTooManyOpen) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		refused(naming("shop"), operation.ErrShare)
		refused(owning("shop"), operation.ErrShare)
		w.ask("usr_1", naming("bank"))
		refused(naming("bank"), operation.ErrShare)
		refused(naming("third"), operation.ErrShare)
		w.ask("usr_1", owning("third"))
		refused(owning("fourth"), operation.ErrShare)
		w.ask("usr_1", ours)
		refused(ours, operation.ErrTooManyOpen)
		if _, _, err := w.Start(t.Context(), question("usr_1", ours)); errors.Is(err, operation.ErrShare) {
			t.Error("the user has a share")
		}
		expect(t, p.approve(first), operation.Accepted, "")
		w.ask("usr_1", naming("shop"))
		refused(naming("shop"), operation.ErrTooManyOpen)
	})
}

// TestSharesOfNotifications: a client that asks without end spends what is for clients.
func TestSharesOfNotifications(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	ring := func(change func(*operation.Start), want string) {
		t.Helper()
		o := w.ask("usr_1", change)
		if o.Push != want {
			t.Errorf("of %q the phone is %s, want %s", o.ClientID, o.Push, want)
		}
		_, err := w.Cancel(t.Context(), o.ID, "")
		must(t, err)
	}
	for range 4 {
		ring(naming("shop"), operation.PushQueued)
	}
	ring(owning("bank"), operation.PushHeldBudget)
	ring(ours, operation.PushQueued)
	ring(ours, operation.PushHeldBudget)
	w.clock.Advance(time.Minute)
	for range 4 {
		ring(naming("shop"), operation.PushQueued)
	}
	w.clock.Advance(time.Minute)
	ring(naming("shop"), operation.PushHeldBudget)
	ring(ours, operation.PushQueued)
}

// TestOpenOperationsExpire: those whose time is over do not stand in the way, swept or not.
func TestOpenOperationsExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	for range 3 {
		for range 5 {
			w.ask("usr_1")
		}
		w.clock.Advance(2 * time.Minute)
	}
}

func TestIdempotency(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.phone("usr_1")
		first := w.ask("usr_1", key("k"), digits(2))
		again := question("usr_1", key("k"), digits(2), func(s *operation.Start) { s.Traceparent = "another" })
		o, created, err := w.Start(t.Context(), again)
		must(t, err)
		if diff := cmp.Diff(first, o); diff != "" || created {
			t.Errorf("repeated: created %t\n%s", created, diff)
		}
		for name, change := range map[string]func(*operation.Start){
			"context":  func(s *operation.Start) { s.Context.Content = "Pay 11 EUR to Ann?" },
			"user":     func(s *operation.Start) { s.UserID = "usr_2" },
			"external": func(s *operation.Start) { s.ExternalID = "x" },
			"kind":     login,
			"methods":  with("biometric"),
			"digits":   digits(6),
			"callback": func(s *operation.Start) { s.Callback = "https://other.example" },
			"time":     func(s *operation.Start) { s.TimeToLive = time.Minute },
		} {
			if _, _, err := w.Start(t.Context(), question("usr_1", key("k"), digits(2), change)); !errors.Is(err, operation.ErrIdempotency) {
				t.Errorf("another %s under the same key: %v", name, err)
			}
		}
		if o := w.ask("usr_1", key("k"), digits(2), func(s *operation.Start) { s.ClientID = "other" }); o.ID == first.ID {
			t.Error("two clients share a key")
		}
		w.clock.Advance(3 * time.Minute)
		o, created, err = w.Start(t.Context(), again)
		if err != nil || created || o.ID != first.ID || o.State != operation.Expired {
			t.Errorf("repeated after it expired: %s, created %t, %v", o.State, created, err)
		}
		w.clock.Advance(24 * time.Hour)
		if o := w.ask("usr_1", key("k")); o.ID == first.ID {
			t.Error("the key is remembered for longer than a day")
		}
	})
}

// TestIdempotentStartsAtOnce: many equal requests at the same moment are one operation and one notification.
func TestIdempotentStartsAtOnce(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.phone("usr_1")
		ids := make([]string, 16)
		made := make([]bool, len(ids))
		var group sync.WaitGroup
		for i := range ids {
			group.Go(func() {
				o, created, err := w.Start(t.Context(), question("usr_1", key("k")))
				if err != nil {
					t.Error(err)
				}
				ids[i], made[i] = o.ID, created
			})
		}
		group.Wait()
		created := 0
		for i := range ids {
			if ids[i] != ids[0] {
				t.Errorf("operation %q beside %q", ids[i], ids[0])
			}
			if made[i] {
				created++
			}
		}
		if created != 1 || len(w.told("usr_1", "")) != 1 || w.standing("usr_1").Pushes != 1 {
			t.Errorf("created %d times, told %v, %d pushes", created, w.told("usr_1", ""), w.standing("usr_1").Pushes)
		}
	})
}

// TestStartFaults: a start whose reply was lost is found again by its key.
func TestStartFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	w.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
	if _, _, err := w.Start(t.Context(), question("usr_1", key("k"))); !errors.Is(err, storage.ErrUnknown) {
		t.Fatalf("the fault did not strike: %v", err)
	}
	_, created, err := w.Start(t.Context(), question("usr_1", key("k")))
	if err != nil || created {
		t.Errorf("started again: created %t, %v", created, err)
	}
	if open := w.standing("usr_1").Open; len(open) != 1 {
		t.Errorf("%d are open", len(open))
	}
}

func TestLists(t *testing.T) {
	over(t, func(t *testing.T, w *world) {
		w.phone("usr_1")
		w.phone("usr_2")
		var ids []string
		for i := range 4 {
			o := w.ask("usr_1", func(s *operation.Start) { s.ExternalID = fmt.Sprint("order ", i/2) })
			ids = append([]string{o.ID}, ids...)
			w.clock.Advance(time.Millisecond)
		}
		w.ask("usr_2", func(s *operation.Start) { s.ClientID, s.ExternalID = "other", "order 0" })
		names := func(page []operation.Operation, err error) (found []string) {
			must(t, err)
			for _, o := range page {
				found = append(found, o.ID)
			}
			return found
		}
		if diff := cmp.Diff(ids, names(w.ListByUser(t.Context(), "usr_1", "", 0))); diff != "" {
			t.Errorf("newest first:\n%s", diff)
		}
		if diff := cmp.Diff(ids[1:3], names(w.ListByUser(t.Context(), "usr_1", ids[0], 2))); diff != "" {
			t.Errorf("second page:\n%s", diff)
		}
		if diff := cmp.Diff(ids[2:], names(w.ByExternalID(t.Context(), "portal", "order 0", "", 0))); diff != "" {
			t.Errorf("by external id:\n%s", diff)
		}
		if got := names(w.ByExternalID(t.Context(), "other", "order 1", "", 0)); got != nil {
			t.Errorf("another client finds %v", got)
		}
		w.clock.Advance(3 * time.Minute)
		page, err := w.ListByUser(t.Context(), "usr_1", "", 1)
		must(t, err)
		if page[0].State != operation.Expired {
			t.Errorf("listed as %s", page[0].State)
		}
	})
}

func TestRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	o := w.ask("usr_1")
	w.clock.Advance(60*24*time.Hour - time.Millisecond)
	w.get(o.ID)
	w.clock.Advance(time.Millisecond)
	if _, err := w.Get(t.Context(), o.ID); !errors.Is(err, operation.ErrNotFound) {
		t.Errorf("after 60 days: %v", err)
	}
	if page, err := w.ListByUser(t.Context(), "usr_1", "", 0); err != nil || len(page) != 0 {
		t.Errorf("listed %d, %v", len(page), err)
	}
	must(t, w.Expire(t.Context()))
}

func TestConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	for _, test := range []struct {
		name   string
		change func(*operation.Config)
	}{
		{"no store", func(c *operation.Config) { c.DB = nil }},
		{"no sealer", func(c *operation.Config) { c.Sealer = nil }},
		{"no users", func(c *operation.Config) { c.Users = nil }},
		{"no devices", func(c *operation.Config) { c.Devices = nil }},
		{"no audit", func(c *operation.Config) { c.Audit = nil }},
		{"no clock", func(c *operation.Config) { c.Now = nil }},
		{"kept for an hour", func(c *operation.Config) { c.KeepFor = time.Hour }},
		{"answerable for an hour", func(c *operation.Config) { c.Limits.TimeToLive = time.Hour }},
		{"redeemable for ever", func(c *operation.Config) { c.Limits.Redeem = -1 }},
		{"one digit", func(c *operation.Config) { c.Limits.Number = 1 }},
		{"fewer digits than the least", func(c *operation.Config) { c.Limits.LeastNumber = 6 }},
		{"unlimited tries", func(c *operation.Config) { c.Limits.Tries = -1 }},
		{"too many open", func(c *operation.Config) { c.Limits.Open = 9 }},
		{"unlimited pushes", func(c *operation.Config) { c.Limits.PushesPerMinute = 1000 }},
		{"unlimited failures", func(c *operation.Config) { c.Limits.Failures = 11 }},
		{"never for good", func(c *operation.Config) { c.Limits.FailuresForGood = 1000 }},
		{"a block of nothing", func(c *operation.Config) { c.Limits.Block = time.Millisecond }},
		{"no waiters", func(c *operation.Config) { c.Limits.Waiters = -1 }},
	} {
		c := w.config
		test.change(&c)
		if _, err := operation.New(c); err == nil {
			t.Errorf("%s: created", test.name)
		}
	}
}

// TestLogTellsNothing of what is asked, nor the number.
func TestLogTellsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.phone("usr_1")
	o := w.ask("usr_1", digits(8))
	var lines bytes.Buffer
	slog.New(slog.NewJSONHandler(&lines, nil)).Info("asked", "operation", o)
	if !strings.Contains(lines.String(), o.ID) || strings.Contains(lines.String(), o.Number) || strings.Contains(lines.String(), "Ann") {
		t.Errorf("log: %s", lines.String())
	}
	if err := w.db.View(t.Context(), func(tx storage.Tx) error {
		for item, err := range tx.Scan("operation/", "", 0) {
			if err != nil || bytes.Contains(item.Value, []byte("Ann")) {
				t.Errorf("stored readable: %v", err)
			}
		}
		got, found, err := w.Find(tx, o.ID)
		if diff := cmp.Diff(o, got); diff != "" || !found {
			t.Errorf("found %t\n%s", found, diff)
		}
		if _, found, err := w.Find(tx, "op_x"); found || err != nil {
			t.Errorf("an unknown one: %t, %v", found, err)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestLimitsCheck(t *testing.T) {
	t.Parallel()
	if err := (operation.Limits{}).Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if err := (operation.Limits{Tries: 11}).Check(); !errors.Is(err, operation.ErrInvalid) {
		t.Errorf("eleven tries: %v", err)
	}
}

// TestStartIsLogged: what the trail keeps of a start is logged once, also where the start was part of a transaction of somebody else's;
// a start that is repeated is none.
func TestStartIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	var log bytes.Buffer
	trail, err := audit.New(audit.Config{DB: w.db, Logger: slog.New(slog.NewJSONHandler(&log, nil)), Now: w.clock.Now})
	must(t, err)
	w.build(func(c *operation.Config) { c.Audit = trail })
	w.phone("usr_1")
	start := operation.Start{Kind: operation.Authentication, UserID: "usr_1", ClientID: "portal", IdempotencyKey: "k"}
	first, _, err := w.Start(t.Context(), start)
	must(t, err)
	_, _, err = w.Start(t.Context(), start)
	must(t, err)
	start.IdempotencyKey = ""
	draft, err := w.Prepare(t.Context(), start)
	must(t, err)
	var second operation.Operation
	must(t, w.db.Update(t.Context(), func(tx storage.Tx) (err error) {
		second, _, err = w.StartTx(tx, draft)
		return err
	}))
	w.Started(t.Context(), draft, second)
	for _, o := range []operation.Operation{first, second} {
		page, err := trail.Query(t.Context(), audit.Query{Operation: o.ID})
		must(t, err)
		if len(page.Events) != 1 || strings.Count(log.String(), o.ID) != 1 || strings.Count(log.String(), page.Events[0].ID) != 1 {
			t.Errorf("of %s the trail keeps %+v, and logs\n%s", o.ID, page.Events, log.String())
		}
	}
}
