// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// graded is the standard model without the level that is one realm, so that a realm's own name is the lowest.
func graded(t testing.TB) *realm.Engine {
	t.Helper()
	config := standard()
	config.Levels = config.Levels[1:]
	return newEngine(t, config)
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	proof := func(name, subject string, age time.Duration, amr ...string) realm.Proof {
		return realm.Proof{Realm: name, Subject: subject, Name: "A. " + subject, AMR: amr, Time: now.Add(-age)}
	}
	at := func(age time.Duration) time.Time { return now.Add(-age) }
	password := proof("password", alice, time.Hour, "pwd")
	phone := proof("phone", alice, time.Minute, "pop", "user")
	phone.Device = "dev_1"
	anyApp := proof("app", "", time.Second, "pop")
	tests := []struct {
		name   string
		wanted []string
		proofs []realm.Proof
		want   realm.Authentication // without a subject: nobody
	}{
		{name: "nothing proven"},
		{name: "only what determines nobody", proofs: []realm.Proof{phone, anyApp}},
		{name: "an identity without a subject", proofs: []realm.Proof{proof("password", "", 0, "pwd")}},
		{name: "one realm", proofs: []realm.Proof{password}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "password", AMR: []string{"pwd"}, AuthTime: at(time.Hour),
			Realms: map[string]time.Time{"password": at(time.Hour)},
		}},
		{name: "a level is completed by its last event", proofs: []realm.Proof{password, phone}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "silver", AMR: []string{"pop", "pwd", "user"}, AuthTime: at(time.Minute), Devices: []string{"dev_1"},
			Realms: map[string]time.Time{"password": at(time.Hour), "phone": at(time.Minute)},
		}},
		{name: "the strongest level, with a proof of nobody in it", proofs: []realm.Proof{password, phone, anyApp}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "gold", AMR: []string{"pop", "pwd", "user"}, AuthTime: at(time.Second), Devices: []string{"dev_1"},
			Realms: map[string]time.Time{"password": at(time.Hour), "phone": at(time.Minute), "app": at(time.Second)},
		}},
		{name: "the level that was asked for", wanted: []string{"password"}, proofs: []realm.Proof{password, phone, anyApp}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "password", AMR: []string{"pop", "pwd", "user"}, AuthTime: at(time.Hour), Devices: []string{"dev_1"},
			Realms: map[string]time.Time{"password": at(time.Hour), "phone": at(time.Minute), "app": at(time.Second)},
		}},
		{name: "a level that was asked for and not reached", wanted: []string{"gold", "unknown", ""}, proofs: []realm.Proof{password, phone}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "silver", AMR: []string{"pop", "pwd", "user"}, AuthTime: at(time.Minute), Devices: []string{"dev_1"},
			Realms: map[string]time.Time{"password": at(time.Hour), "phone": at(time.Minute)},
		}},
		{name: "a stale proof counts for nothing", wanted: []string{"silver"}, proofs: []realm.Proof{password, proof("phone", alice, 5*time.Minute+1, "pop")}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "password", AMR: []string{"pwd"}, AuthTime: at(time.Hour),
			Realms: map[string]time.Time{"password": at(time.Hour)},
		}},
		{name: "a proof from the future counts for nothing", proofs: []realm.Proof{password, proof("phone", alice, -time.Millisecond, "pop")}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "password", AMR: []string{"pwd"}, AuthTime: at(time.Hour),
			Realms: map[string]time.Time{"password": at(time.Hour)},
		}},
		{name: "somebody else's proof counts for nothing", wanted: []string{"silver"}, proofs: []realm.Proof{password, proof("phone", bob, time.Minute, "pop")}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "password", AMR: []string{"pwd"}, AuthTime: at(time.Hour),
			Realms: map[string]time.Time{"password": at(time.Hour)},
		}},
		{name: "a realm that is no longer defined counts for nothing", proofs: []realm.Proof{password, proof("gone", alice, 0, "gone")}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "password", AMR: []string{"pwd"}, AuthTime: at(time.Hour),
			Realms: map[string]time.Time{"password": at(time.Hour)},
		}},
		{name: "a stale identity determines nobody", proofs: []realm.Proof{proof("password", alice, 8*time.Hour+1, "pwd"), phone}},
		{name: "the first of two identities", proofs: []realm.Proof{proof("card", bob, 0, "sc"), password}, want: realm.Authentication{
			Subject: alice, Name: "A. usr_alice", ACR: "password", AMR: []string{"pwd"}, AuthTime: at(time.Hour),
			Realms: map[string]time.Time{"password": at(time.Hour)},
		}},
		{name: "the second identity when the first is stale", proofs: []realm.Proof{
			proof("card", bob, 0, "sc"), proof("password", alice, 9*time.Hour, "pwd"), proof("phone", alice, 0, "pop"),
		}, want: realm.Authentication{
			Subject: bob, Name: "A. usr_bob", ACR: "card", AMR: []string{"sc"}, AuthTime: now, Realms: map[string]time.Time{"card": now},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proofs := realm.Proofs{}
			for _, p := range tt.proofs {
				proofs[p.Realm] = p
			}
			before := fmt.Sprint(proofs)
			got, ok := graded(t).Authenticate(tt.wanted, proofs, now)
			equal(t, "ok", ok, tt.want.Subject != "")
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("authentication (-want +got):\n%s", diff)
			}
			equal(t, "proofs afterwards", fmt.Sprint(proofs), before)
		})
	}
}

// TestAuthenticationOfAttestedDevices: it says of the devices what is known of each.
func TestAuthenticationOfAttestedDevices(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	shown := func(name, device, grade string) realm.Proof {
		return realm.Proof{Realm: name, Subject: alice, Time: now, Device: device, Attestation: grade}
	}
	for _, tt := range []struct {
		name   string
		proofs []realm.Proof
		want   string
	}{
		{"none", nil, ""},
		{"one", []realm.Proof{shown("phone", "dev_1", "tee")}, "tee"},
		{"one that has shown nothing", []realm.Proof{shown("phone", "dev_1", "")}, ""},
		{"two of one grade", []realm.Proof{shown("card", "dev_2", "tee"), shown("phone", "dev_1", "tee")}, "tee"},
		{"two grades", []realm.Proof{shown("card", "dev_2", "hardware"), shown("phone", "dev_1", "tee")}, ""},
		{"one, and one that has shown nothing", []realm.Proof{shown("card", "dev_2", ""), shown("phone", "dev_1", "tee")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proofs := realm.Proofs{"password": shown("password", "", "hardware")} // which names no device
			for _, p := range tt.proofs {
				proofs[p.Realm] = p
			}
			got, ok := graded(t).Authenticate(nil, proofs, now)
			if !ok || got.Attestation != tt.want {
				t.Errorf("it is %q, %v", got.Attestation, ok)
			}
		})
	}
}

// Whatever proofs there are: the level is fully, freshly proven by one user, and auth_time is the event that completed it.
func TestAuthenticationSaysNoMoreThanItsProofs(t *testing.T) {
	t.Parallel()
	engine, now := graded(t), storagetest.NewClock().Now()
	rapid.Check(t, func(t *rapid.T) {
		proofs := realm.Proofs{}
		for _, name := range []string{"password", "card", "phone", "app", "gone"} {
			if rapid.Bool().Draw(t, name) {
				proofs[name] = realm.Proof{
					Realm: name, Subject: rapid.SampledFrom([]string{alice, alice, bob, ""}).Draw(t, "subject"), AMR: []string{name},
					Time: now.Add(-time.Duration(rapid.IntRange(-1, 600).Draw(t, "minutes")) * time.Minute),
				}
			}
		}
		wanted := rapid.SliceOf(rapid.SampledFrom([]string{"gold", "silver", "phone", "card", "none"})).Draw(t, "wanted")
		auth, ok := engine.Authenticate(wanted, proofs, now)
		if !ok {
			return
		}
		requirements, known := engine.ForACR(auth.ACR)
		if !known || auth.Subject == "" {
			t.Fatalf("the authentication is %+v", auth)
		}
		var last time.Time
		for _, r := range requirements {
			proof, ok := proofs[r.Realm]
			if !ok || now.Sub(proof.Time) > r.MaxAge || proof.Time.After(now) || proof.Subject != "" && proof.Subject != auth.Subject {
				t.Errorf("level %s of %s rests on %+v", auth.ACR, auth.Subject, proof)
			}
			if proof.Time.After(last) {
				last = proof.Time
			}
		}
		if !auth.AuthTime.Equal(last) {
			t.Errorf("auth_time is %s, the level %s was completed at %s", auth.AuthTime, auth.ACR, last)
		}
		for name, at := range auth.Realms {
			if proof := proofs[name]; !at.Equal(proof.Time) || proof.Subject != "" && proof.Subject != auth.Subject {
				t.Errorf("realm %s of %s rests on %+v", name, auth.Subject, proof)
			}
		}
	})
}
