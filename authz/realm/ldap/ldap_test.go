// SPDX-License-Identifier: Apache-2.0

package ldap_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/ldap"
	"github.com/gatehouse-id/gatehouse/tests/slapd"
)

func refusedFor(reason string) realm.Result {
	return realm.Result{Status: realm.Refused, Reason: reason}
}

func alice(attributes map[string]string) realm.Result {
	return realm.Result{Status: realm.Accepted, Identity: realm.Identity{
		ExternalID: aliceUUID, Name: "Alice Liddell", AMR: []string{"pwd"}, Attributes: attributes,
	}}
}

func TestSearchAndBind(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	c := searching(s)
	c.Attributes = map[string]string{"email": "MAIL", "phone_number": "telephoneNumber"}
	m := build(t, c)
	for _, tt := range []struct {
		name, username, password string
		want                     realm.Result
	}{
		{"good", "alice", password, alice(map[string]string{"email": "alice@example.com", "phone_number": "", "login": "alice"})},
		{"another case", "ALICE", password, alice(map[string]string{"email": "alice@example.com", "phone_number": "", "login": "ALICE"})},
		{"wrong password", "alice", "wrong", refusedFor("wrong_password")},
		{"another's password", "alice", serviceSecret, refusedFor("wrong_password")},
		{"password in another case", "alice", "Correct horse", refusedFor("wrong_password")},
		{"unknown", "nobody", password, refusedFor("unknown_login")},
		{"the service account is no person", "reader", serviceSecret, refusedFor("unknown_login")},
		{"no password in the entry", "bob", password, refusedFor("wrong_password")},
		{"two entries", "twin", password, refusedFor("ambiguous_login")},
		{"a star", "*", password, refusedFor("unknown_login")},
		{"a prefix", "ali*", password, refusedFor("unknown_login")},
		{"a filter", "*)(uid=*", password, refusedFor("unknown_login")},
		{"a filter that ends the other", "alice)(|(objectClass=*", password, refusedFor("unknown_login")},
		{"an escape", `\00`, password, refusedFor("unknown_login")},
		{"an escaped star", `\2a`, password, refusedFor("unknown_login")},
		{"a comma", "alice,ou=people", password, refusedFor("unknown_login")},
		{"no name", "", password, refusedFor("malformed")},
		{"a NUL in the name", "alice\x00", password, refusedFor("malformed")},
		{"no text", "alice\xff", password, refusedFor("malformed")},
		{"a huge name", strings.Repeat("a", 1<<20), password, refusedFor("malformed")},
		{"a long name", strings.Repeat("a", 512), password, refusedFor("unknown_login")},
		{"no password", "alice", "", refusedFor("malformed")},
		{"a password that begins with NUL", "alice", "\x00" + password, refusedFor("malformed")},
		{"a huge password", "alice", strings.Repeat("x", 1<<20), refusedFor("malformed")},
		{"a long password", "alice", strings.Repeat("x", 4<<10), refusedFor("wrong_password")},
		{"neither", "", "", refusedFor("malformed")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := m.Verify(t.Context(), answers(tt.username, tt.password))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Names that are full of what filters and DNs consist of are names all the same.
func TestNamesOfAnyCharacters(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	direct := ldap.Config{URL: s.LDAP, BindDN: "uid={username}," + people}
	for name, c := range map[string]ldap.Config{"searching": searching(s), "direct": direct} {
		got, err := build(t, c).Verify(t.Context(), answers(`a,b+(c)\*#`, password))
		if err != nil || got.Status != realm.Accepted || got.Identity.Name != "Strange" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDirectBind(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	m := build(t, ldap.Config{
		URL: s.LDAP, BindDN: "uid={username}," + people, ID: "uid", Name: "sn", Attributes: map[string]string{"email": "mail"},
		Groups: &ldap.Groups{Base: groups, Filter: "(member={dn})", Into: "roles"},
	})
	want := realm.Result{Status: realm.Accepted, Identity: realm.Identity{
		ExternalID: "alice", Name: "Liddell", AMR: []string{"pwd"},
		Attributes: map[string]string{"email": "alice@example.com", "login": "alice", "roles": "100%25 Domain%20Admins players staff"},
	}}
	for _, tt := range []struct {
		name, username, password string
		want                     realm.Result
	}{
		{"good", "alice", password, want},
		{"wrong password", "alice", "wrong", refusedFor("wrong_password")},
		{"unknown", "nobody", password, refusedFor("wrong_password")},
		{"an entry elsewhere", "alice,ou=people", password, refusedFor("wrong_password")},
		{"another attribute", "x+cn=reader", serviceSecret, refusedFor("wrong_password")},
		{"the service account by its name", "reader,ou=services," + slapd.Suffix, serviceSecret, refusedFor("wrong_password")},
		{"no password", "alice", "", refusedFor("malformed")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := m.Verify(t.Context(), answers(tt.username, tt.password))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	member := "dn: uid=carol," + people + "\nobjectClass: inetOrgPerson\nuid: carol\ncn: Carol\nsn: Carol\nuserPassword: " + password + "\n" +
		"memberOf: cn=staff," + groups + "\nmemberOf: CN=Domain Admins," + groups + "\nmemberOf: cn=players,ou=toys," + groups +
		"\nmemberOf: ou=toys," + groups + "\nmemberOf: cn=a\\,b\\2bc," + groups + "\nmemberOf: cn=line\\0abreak," + groups + "\n\n"
	s := tree(t, slapd.Options{LDIF: member, Global: "moduleload memberof"})
	for _, tt := range []struct {
		name, username string
		groups         ldap.Groups
		want           string
	}{
		{"by attribute", "carol", ldap.Groups{}, "Domain%20Admins a,b+c line%0Abreak players staff"},
		{"by attribute beneath a base", "carol", ldap.Groups{Base: "OU=Toys," + groups}, "players"},
		{"by another kind of name", "carol", ldap.Groups{Name: "ou"}, "toys"},
		{"by attribute, of nobody's", "alice", ldap.Groups{}, ""},
		{"by search", "alice", ldap.Groups{Base: groups, Filter: "(member={dn})"}, "100%25 Domain%20Admins players staff"},
		{"by search beneath a base", "alice", ldap.Groups{Base: "ou=toys," + groups, Filter: "(member={dn})"}, "players"},
		{"by search for the login name", "alice", ldap.Groups{Base: groups, Filter: "(memberUid={username})"}, "unix"},
		{"by search, of nobody's", "carol", ldap.Groups{Base: groups, Filter: "(member={dn})"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := searching(s)
			c.Groups = &tt.groups
			got, err := build(t, c).Verify(t.Context(), answers(tt.username, password))
			if err != nil || got.Status != realm.Accepted {
				t.Fatalf("%+v, %v", got, err)
			}
			if line, ok := got.Identity.Attributes["groups"]; !ok || line != tt.want {
				t.Errorf("groups are %q, want %q", line, tt.want)
			}
		})
	}
}

// Unknown, ambiguous and known users with a wrong password make the same connections and operations.
func TestEqualWork(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	for _, secure := range []bool{false, true} {
		for _, username := range []string{"alice", "bob", "nobody", "twin", "*"} {
			w := &wire{}
			c := searching(s)
			c.Dial = w.dial
			want := [][]byte{{opBind, opSearch}, {opBind}}
			if secure {
				c.StartTLS, c.Roots = true, roots(t, s)
			}
			if got, err := build(t, c).Verify(t.Context(), answers(username, "wrong")); err != nil || got.Status != realm.Refused {
				t.Errorf("%s: %+v, %v", username, got, err)
			}
			operations := w.operations(t)
			if !secure {
				if diff := cmp.Diff(want, operations); diff != "" {
					t.Errorf("%s: operations by connection (-want +got):\n%s", username, diff)
				}
			}
			if len(operations) != 2 {
				t.Errorf("%s: %d connections", username, len(operations))
			}
		}
	}
}

// The bind of an unknown user names an entry that does not exist, or the one that was chosen; and whoever knows the password of
// that is still unknown.
func TestDecoy(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	for _, tt := range []struct{ name, decoy string }{{"none", ""}, {"an entry", "uid=alice," + people}} {
		w := &wire{}
		c := searching(s)
		c.Decoy, c.Dial = tt.decoy, w.dial
		m := build(t, c)
		if tells := m.TellsByTime(); tells != (tt.decoy == "") {
			t.Errorf("%s: it says that names can be told by time: %t", tt.name, tells)
		}
		got, err := m.Verify(t.Context(), answers("nobody", password))
		if diff := cmp.Diff(refusedFor("unknown_login"), got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
		if named := strings.Contains(w.sent(), "uid=alice"); named != (tt.decoy != "") {
			t.Errorf("%s: the bind names the decoy: %t", tt.name, named)
		}
	}
}

// What no directory should see never leaves.
func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	w := &wire{to: "127.0.0.1:1"}
	c := ldap.Config{URL: "ldap://localhost", BindDN: service, Password: serviceSecret, Base: people, Dial: w.dial}
	for _, secret := range []string{"", "\x00", "a\x00b", strings.Repeat("x", 1<<20)} {
		if got, err := build(t, c).Verify(t.Context(), answers("alice", secret)); err != nil || got.Status != realm.Refused {
			t.Errorf("%d bytes: %+v, %v", len(secret), got, err)
		}
	}
	if got, err := build(t, c).Verify(t.Context(), realm.Credentials{Subject: "usr_alice"}); err != nil || got.Status != realm.Refused {
		t.Errorf("nothing: %+v, %v", got, err)
	}
	if n := len(w.operations(t)); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	if !build(t, c).NeedsLogin() {
		t.Error("it says that it can do without a login name")
	}
}

func TestFieldsOfOtherNames(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	c := searching(s)
	c.UserField, c.PasswordField, c.Filter = "mail", "pin", "(mail={username})"
	m := build(t, c)
	got, err := m.Verify(t.Context(), realm.Credentials{Values: map[string]string{"mail": "second@example.com", "pin": password}})
	if err != nil || got.Identity.ExternalID != aliceUUID {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = m.Verify(t.Context(), answers("second@example.com", password)); err != nil || got.Status != realm.Refused {
		t.Errorf("the usual fields: %+v, %v", got, err)
	}
}

// The password policy of OpenLDAP: whatever it has against an account, nobody can tell from outside, and the trail can.
func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	account := func(uid, more string) string {
		return "dn: uid=" + uid + "," + people + "\nobjectClass: inetOrgPerson\nuid: " + uid + "\ncn: X\nsn: X\nuserPassword: " +
			password + "\n" + more + "\n"
	}
	policy := "dn: cn=policy," + slapd.Suffix + "\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\n" +
		"pwdLockout: TRUE\npwdMaxFailure: 2\npwdMaxAge: 864000\npwdMustChange: TRUE\n\n"
	s := tree(t, slapd.Options{
		LDIF: policy + account("locked", "pwdAccountLockedTime: 000001010000Z\n") + account("reset", "pwdReset: TRUE\n") +
			account("old", "pwdChangedTime: 20200101000000Z\n") + account("fresh", ""),
		Global: "moduleload ppolicy", Database: "overlay ppolicy\nppolicy_default cn=policy," + slapd.Suffix + "\nppolicy_use_lockout",
	})
	m := build(t, searching(s))
	for _, tt := range []struct{ username, secret, reason string }{
		{"locked", password, "locked"}, {"old", password, "password_expired"}, {"reset", password, "password_must_be_changed"},
		{"reset", "wrong", "wrong_password"}, {"fresh", "wrong", "wrong_password"}, {"fresh", "wrong", "wrong_password"},
		{"fresh", password, "locked"},
	} {
		got, err := m.Verify(t.Context(), answers(tt.username, tt.secret))
		if diff := cmp.Diff(refusedFor(tt.reason), got); diff != "" || err != nil {
			t.Errorf("%s with %q: %v (-want +got):\n%s", tt.username, tt.secret, err, diff)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	s := tree(b, slapd.Options{})
	secure := searching(s)
	secure.URL, secure.Roots = s.LDAPS, roots(b, s)
	for name, c := range map[string]ldap.Config{"plain": searching(s), "ldaps": secure} {
		m := build(b, c)
		for _, who := range []struct{ name, username, password string }{
			{"good", "alice", password}, {"wrong", "alice", "wrong"}, {"unknown", "nobody", "wrong"},
		} {
			b.Run(name+"/"+who.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Verify(b.Context(), answers(who.username, who.password)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
