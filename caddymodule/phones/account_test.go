// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

// page is the account page's view of a house.
func (h *house) page() *phones.Account {
	h.t.Helper()
	parts := h.parts
	parts.Account = new(phones.Account)
	p, err := phones.New(nil, bank(h.t), parts)
	must(h.t, err)
	must(h.t, p.Load(h.t.Context()))
	return parts.Account
}

// TestAccountShowsWhatIsTheUsersOwn: nobody sees, renames or removes the phone of somebody else.
func TestAccountShowsWhatIsTheUsersOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	user, phone := h.enrol()
	a, id := h.page(), phone.State().Device
	owned, err := a.Of(t.Context(), user)
	must(t, err)
	if len(owned.Phones) != 1 || owned.Phones[0].ID != id || owned.Phones[0].App != "bank" || owned.Phones[0].Status != "active" ||
		len(owned.Apps) != 1 || len(owned.Operations) != 1 || owned.Operations[0].Kind != "registration" || owned.Adding != "" {
		t.Errorf("the user has %+v", owned)
	}
	for name, err := range map[string]error{
		"renaming": a.Rename(t.Context(), "usr_eve", id, "Eve's"), "removing": a.Remove(t.Context(), "usr_eve", id),
		"renaming nothing": a.Rename(t.Context(), user, "dev_none", "x"), "removing nothing": a.Remove(t.Context(), user, ""),
	} {
		if !errors.Is(err, account.ErrGone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", " \t ", strings.Repeat("x", 500), "\u202e"} {
		if err := a.Rename(t.Context(), user, id, name); !errors.Is(err, account.ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	must(t, a.Rename(t.Context(), user, id, " Work  phone "))
	if owned, err = a.Of(t.Context(), user); err != nil || owned.Phones[0].Name != "Work phone" {
		t.Errorf("it is called %+v: %v", owned.Phones, err)
	}
	must(t, a.Remove(t.Context(), user, id))
	if owned, err = a.Of(t.Context(), user); err != nil || len(owned.Phones) != 0 {
		t.Errorf("the user still has %+v: %v", owned.Phones, err)
	}
	if _, err := phone.Refresh(t.Context()); !errors.Is(err, device.ErrMessage) {
		t.Errorf("the phone hears %v", err)
	}
	if err := a.Remove(t.Context(), user, id); !errors.Is(err, account.ErrGone) {
		t.Errorf("once more: %v", err)
	}
}

// TestAccountAddsPhones: what is begun there is the user's alone; a back end's registrations are not.
func TestAccountAddsPhones(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	user, _ := h.enrol()
	a := h.page()
	if _, err := a.Begin(t.Context(), user, "other"); !errors.Is(err, account.ErrNotNow) {
		t.Errorf("for an app that there is not: %v", err)
	}
	if _, err := a.Begin(t.Context(), "usr_none", "bank"); !errors.Is(err, account.ErrNotNow) {
		t.Errorf("for nobody: %v", err)
	}
	id, err := a.Begin(t.Context(), user, "bank")
	must(t, err)
	if again, err := a.Begin(t.Context(), user, "bank"); err != nil || again != id {
		t.Errorf("once more it is %s: %v", again, err)
	}
	r, err := a.Find(t.Context(), user, id)
	must(t, err)
	if r.Stage != account.Waiting || r.Code == "" || !strings.HasPrefix(r.QR, "gatehouse://enroll?") || r.App != "bank" {
		t.Errorf("it is %v at %s", r, r.Stage)
	}
	status, theirs := h.call("POST", "/operations/registration", `{"user_id":"`+user+`","application":"bank"}`)
	backEnds, _ := theirs["id"].(string)
	if status != 201 || backEnds == "" {
		t.Fatalf("%d %v", status, theirs)
	}
	for _, tt := range []struct{ user, id string }{{"usr_eve", id}, {user, backEnds}, {user, "op_none"}} {
		_, err := a.Find(t.Context(), tt.user, tt.id)
		for _, err := range []error{err, a.Confirm(t.Context(), tt.user, tt.id, "123456"), a.Stop(t.Context(), tt.user, tt.id)} {
			if !errors.Is(err, account.ErrGone) {
				t.Errorf("%s of %s: %v", tt.id, tt.user, err)
			}
		}
	}
	if status, _ := h.call("POST", "/operations/"+id+"/confirm", `{"digits":"123456"}`); status < 400 {
		t.Errorf("a back end confirms it: %d", status)
	}
	must(t, a.Stop(t.Context(), user, id))
	must(t, a.Stop(t.Context(), user, id))
	if r, err = a.Find(t.Context(), user, id); err != nil || r.Stage != account.Refused || r.Code != "" {
		t.Errorf("it is %v at %s: %v", r, r.Stage, err)
	}
}
