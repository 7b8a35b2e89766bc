// SPDX-License-Identifier: Apache-2.0

package ldap_test

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	directory "github.com/go-ldap/ldap/v3"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/ldap"
)

// Whatever somebody types as a login name: the filter that the directory gets is the configured one, with the name as the value
// of the one assertion that it belongs to; and the name that is bound as is the configured one, with the login name as the
// value of its one attribute.
func FuzzUsername(f *testing.F) {
	for _, seed := range []string{
		"alice", "*", "*)(uid=*", `\00`, `\2a`, ",", "a,ou=x", "+cn=y", "#", " x ", `"`, "<>;=", "é", "(", ")", "&", "x)(|(objectClass=*", "\u2028",
	} {
		f.Add(seed)
	}
	var filter, bound []byte
	watching := func(op byte, request []byte) [][]byte {
		switch op {
		case opBind:
			_, _, rest := element(request)
			_, bound, _ = element(rest)
			return [][]byte{reply(0x61, 49, "")}
		default:
			filter = bytes.Clone(request)
			return [][]byte{reply(0x65, 0, "")}
		}
	}
	c := ldap.Config{URL: "ldap://localhost", Base: people, Dial: impostor(watching).dial}
	searching, err := ldap.New(c)
	if err != nil {
		f.Fatal(err)
	}
	direct, err := ldap.New(ldap.Config{URL: c.URL, BindDN: "uid={username}," + people, Dial: c.Dial})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, username string) {
		filter, bound = nil, nil
		got, err := searching.Verify(t.Context(), answers(username, "x"))
		if err != nil || got.Status != realm.Refused {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Reason == "malformed" {
			return
		}
		want := ber(0xa0, ber(0xa3, octets("objectClass"), octets("person")), ber(0xa3, octets("uid"), octets(username)))
		if !bytes.Equal(assertions(filter), want) {
			t.Errorf("%q makes the filter %q", username, assertions(filter))
		}
		if _, err = direct.Verify(t.Context(), answers(username, "x")); err != nil {
			t.Fatal(err)
		}
		dn, err := directory.ParseDN(string(bound))
		if err != nil {
			t.Fatalf("%q binds as %q: %v", username, bound, err)
		}
		if len(dn.RDNs) != 4 || len(dn.RDNs[0].Attributes) != 1 || dn.RDNs[0].Attributes[0].Value != username {
			t.Errorf("%q binds as %q", username, bound)
		}
	})
}

// assertions returns the filter of a search request (RFC 4511 4.5.1): its seventh element.
func assertions(request []byte) []byte {
	for range 6 {
		_, _, request = element(request)
	}
	_, _, rest := element(request)
	return request[:len(request)-len(rest)]
}

// Whatever a server says: the login ends, without a panic, and without an identity unless there is an id in it.
func FuzzAnswers(f *testing.F) {
	found := ber(0x30, ber(0x02, []byte{2}), entry("uid=x", "entryUUID", aliceUUID))
	done := ber(0x30, ber(0x02, []byte{2}), reply(0x65, 0, ""))
	bound := reply(0x61, 0, "")
	policy := ber(0xa0, ber(0x30, octets("1.3.6.1.4.1.42.2.27.8.5.1"), octets("\x30\x03\x81\x01\x01")))
	f.Add(bound, append(bytes.Clone(found), done...))
	f.Add(reply(0x61, 49, "no"), done)
	f.Add(reply(0x61, 10, "no"), done)
	f.Add(bound, bytes.Join([][]byte{ber(0x30, ber(0x02, []byte{2}), ber(0x64)), done}, nil))
	f.Add(bound, append(bytes.Clone(found), found...))
	f.Add(bound, []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff})
	f.Add(bound, []byte{0x30, 0x80, 0x30, 0x80, 0x30, 0x80})
	f.Add(ber(0x61, ber(0x0a, nil), octets(""), octets("")), done)
	f.Add(append(reply(0x61, 0, ""), policy...), done)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		speak := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer func() { _ = theirs.Close() }() // the other side may have gone first
				for _, said := range [][]byte{ber(0x30, ber(0x02, []byte{1}), first), second} {
					if _, err := theirs.Read(make([]byte, 4<<10)); err != nil {
						return
					}
					if _, err := theirs.Write(said); err != nil {
						return
					}
				}
			}()
			return ours, nil
		}
		m, err := ldap.New(ldap.Config{URL: "ldap://localhost", BindDN: "uid={username}," + people, Dial: speak, Timeout: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Verify(t.Context(), answers("alice", password))
		if (err == nil) == (got.Status == "") {
			t.Errorf("the judgement is %+v, %v after %q and %q", got, err, first, second)
		}
		if got.Status == realm.Accepted && (got.Identity.ExternalID == "" || got.Identity.Subject != "") {
			t.Errorf("accepted as %+v after %q and %q", got.Identity, first, second)
		}
	})
}
