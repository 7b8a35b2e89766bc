// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/storage"
)

// issued are the certificates of devices.
type issued struct {
	all     []provisioning.Certificate
	revoked []string
	err     error
}

func (s *issued) List(_ context.Context, installation, after string, limit int) (list []provisioning.Certificate, err error) {
	for _, c := range s.all {
		if c.ID > after && (installation == "" || c.Installation == installation) && len(list) < limit {
			list = append(list, c)
		}
	}
	return list, s.err
}

// Of has usr_1 be who has logged in on ins_0 and ins_1.
func (s *issued) Of(_ context.Context, user, after string, limit int) (list []provisioning.Certificate, err error) {
	for _, c := range s.all {
		if user == "usr_1" && c.Installation < "ins_2" && c.ID > after && len(list) < limit {
			list = append(list, c)
		}
	}
	return list, s.err
}

func (s *issued) Revoke(_ context.Context, installation string) (bool, error) {
	if !slices.ContainsFunc(s.all, func(c provisioning.Certificate) bool { return c.Installation == installation }) {
		return false, storage.ErrNotFound
	}
	fresh := !slices.Contains(s.revoked, installation)
	s.revoked = append(s.revoked, installation)
	return fresh, s.err
}

// sample is a certificate of an installation.
func sample(n int, installation string, now time.Time) provisioning.Certificate {
	return provisioning.Certificate{
		ID: fmt.Sprintf("%043d", n), Serial: fmt.Sprintf("%x", n), Installation: installation, Kind: provisioning.KindGroup, Group: "retail",
		Application: "bank", Platform: "ios", Version: "2.1", Device: provisioning.Device{Model: "iPhone18,1", OS: "iOS", OSVersion: "26.1"},
		ClientID: "phone", IssuedAt: now, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	store := new(issued)
	w := newWorld(t, func(c *restapi.Config) { c.Certificates = store })
	now := w.clock.Now()
	for i, change := range []func(*provisioning.Certificate){
		func(c *provisioning.Certificate) {
			c.UserID, c.Attributes, c.Attestation.Grade = "usr_1", map[string]string{"contract": "C-1"}, "hardware"
		},
		func(c *provisioning.Certificate) { c.NotAfter = now },
		func(c *provisioning.Certificate) { c.NotBefore = now.Add(time.Minute) },
		func(c *provisioning.Certificate) { c.RevokedAt = now },
		func(c *provisioning.Certificate) { c.ReplacedAt, c.OverAt = now, now },
		func(c *provisioning.Certificate) { c.RevokedAt, c.AuthorityRevoked = now, true },
	} {
		c := sample(i, fmt.Sprint("ins_", i/2), now)
		change(&c)
		store.all = append(store.all, c)
	}
	type shown struct {
		ID, Serial, Installation, Entity, Application, Status, Grade string
		NotAfter                                                     time.Time `json:"not_after"`
		Attributes                                                   map[string]string
	}
	var walked []string
	for cursor, pages := "", 0; pages < 10; pages++ {
		var page struct {
			Certificates []shown
			Next         string
		}
		w.do("GET", "/certificates?limit=4"+cursor, "").is(200).json(&page)
		for _, c := range page.Certificates {
			walked = append(walked, c.Status)
			if c.Entity != "group retail" || c.Application != "bank" || c.Serial == "" || c.Installation == "" || c.NotAfter.IsZero() {
				t.Errorf("shown is %+v", c)
			}
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	if got := strings.Join(walked, " "); got != "valid expired not_yet revoked replaced authority_revoked" {
		t.Errorf("walked over %s", got)
	}
	var mine struct{ Certificates []shown }
	w.do("GET", "/certificates?installation=ins_0", "").is(200).json(&mine)
	if len(mine.Certificates) != 2 || mine.Certificates[0].Attributes["contract"] != "C-1" || mine.Certificates[0].Grade != "hardware" || mine.Certificates[1].Grade != "unknown" {
		t.Errorf("of one installation: %+v", mine)
	}
	w.do("GET", "/certificates?installation=ins_9", "").is(200).json(&mine)
	if len(mine.Certificates) != 0 {
		t.Errorf("of none: %+v", mine)
	}
	var theirs struct {
		Certificates []shown
		Next         string
	}
	w.do("GET", "/certificates?user=usr_1&limit=3", "").is(200).json(&theirs)
	if len(theirs.Certificates) != 3 || theirs.Next == "" {
		t.Errorf("of one user: %+v", theirs)
	}
	w.do("GET", "/certificates?limit=3&cursor="+theirs.Next, "").is(400).refused("invalid_cursor")
	w.do("GET", "/certificates?user=usr_1&limit=3&cursor="+theirs.Next, "").is(200).json(&theirs)
	if len(theirs.Certificates) != 1 || theirs.Certificates[0].Installation != "ins_1" {
		t.Errorf("the rest of one user: %+v", theirs)
	}
	w.do("GET", "/certificates?user=usr_2", "").is(200).json(&theirs)
	if len(theirs.Certificates) != 0 {
		t.Errorf("of another user: %+v", theirs)
	}
	w.do("GET", "/certificates?user=usr_1&installation=ins_0", "").is(400).refused("invalid_parameter")
	w.do("GET", "/certificates?device=x", "").is(400).refused("invalid_parameter")
}

// TestRevokeInstallation tells the gates before it answers.
func TestRevokeInstallation(t *testing.T) {
	t.Parallel()
	store := new(issued)
	w := newWorld(t, func(c *restapi.Config) { c.Certificates = store })
	store.all = append(store.all, sample(1, "ins_1", w.clock.Now()))
	for _, fresh := range []string{"true", "false"} {
		got := w.do("POST", "/installations/ins_1/revoke", "").is(200)
		if got.get("fresh") != fresh || got.get("installation") != "ins_1" {
			t.Errorf("the answer is %s", got.body)
		}
	}
	if w.told.applied != 2 || len(store.revoked) != 2 {
		t.Errorf("the gates were told %d times of %v", w.told.applied, store.revoked)
	}
	w.do("POST", "/installations/ins_2/revoke", "").is(404).refused("not_found")
	w.do("POST", "/installations/ins_1/revoke", `{"reason":1}`).is(400)
	for _, scopes := range []string{"", "gatehouse:users", "gatehouse:devices:read"} {
		w.do("POST", "/installations/ins_1/revoke", "", "Authorization", "Test portal "+scopes).is(403)
	}
	w.do("GET", "/certificates", "", "Authorization", "Test portal gatehouse:devices:read").is(200)
	w.do("GET", "/certificates", "", "Authorization", "Test portal gatehouse:users").is(403)
	store.err = storage.ErrUnavailable
	w.do("GET", "/certificates", "").is(503)
	w.do("GET", "/certificates?user=usr_1", "").is(503)
	w.do("POST", "/installations/ins_1/revoke", "").is(503)
	store.err, w.told.fail = nil, errors.New("the gates are not there")
	w.do("POST", "/installations/ins_1/revoke", "").is(503)
}

// Where nobody issues certificates there is no such path.
func TestNoCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *restapi.Config) { c.Certificates = nil })
	w.do("GET", "/certificates", "").is(404)
	w.do("POST", "/installations/ins_1/revoke", "").is(404)
}
