// SPDX-License-Identifier: Apache-2.0

package ldap_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/ldap"
	"github.com/gatehouse-id/gatehouse/tests/slapd"
)

const (
	people   = "ou=people," + slapd.Suffix
	groups   = "ou=groups," + slapd.Suffix
	service  = "cn=reader,ou=services," + slapd.Suffix
	password = "correct horse"
	// serviceSecret must be in no error.
	serviceSecret = "service-secret"
	aliceUUID     = "7ad1bd16-5a4c-4b8a-8a0e-000000000001"
)

// entries are the people that the tests know. Their ids are given so that they can be expected.
const entries = `dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: ou=toys,ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: toys

dn: ou=services,dc=example,dc=com
objectClass: organizationalUnit
ou: services

dn: cn=reader,ou=services,dc=example,dc=com
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: reader
userPassword: service-secret

dn: uid=alice,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: alice
cn: Alice Liddell
sn: Liddell
mail: alice@example.com
mail: second@example.com
userPassword: correct horse
entryUUID: 7ad1bd16-5a4c-4b8a-8a0e-000000000001

dn: uid=bob,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Bob
entryUUID: 7ad1bd16-5a4c-4b8a-8a0e-000000000002

dn: cn=Twin One,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: twin
cn: Twin One
sn: Twin
userPassword: correct horse

dn: cn=Twin Two,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: twin
cn: Twin Two
sn: Twin
userPassword: correct horse

dn: uid=a\2Cb\2B(c)\5C*\23,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: a,b+(c)\*#
cn: Strange
sn: Strange
userPassword: correct horse
entryUUID: 7ad1bd16-5a4c-4b8a-8a0e-000000000003

dn: cn=staff,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: staff
member: uid=alice,ou=people,dc=example,dc=com
member: uid=bob,ou=people,dc=example,dc=com

dn: cn=Domain Admins,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: Domain Admins
member: uid=alice,ou=people,dc=example,dc=com

dn: cn=100%,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: 100%
member: uid=alice,ou=people,dc=example,dc=com

dn: cn=admins,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: admins
member: uid=bob,ou=people,dc=example,dc=com

dn: cn=players,ou=toys,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: players
member: uid=alice,ou=people,dc=example,dc=com

dn: cn=unix,ou=groups,dc=example,dc=com
objectClass: posixGroup
cn: unix
gidNumber: 100
memberUid: alice

`

// tree starts a directory with the entries.
func tree(t testing.TB, more slapd.Options) *slapd.Server {
	t.Helper()
	more.LDIF = entries + more.LDIF
	return slapd.Start(t, more)
}

// searching is the configuration of a module that searches.
func searching(s *slapd.Server) ldap.Config {
	return ldap.Config{URL: s.LDAP, BindDN: service, Password: serviceSecret, Base: people}
}

func build(t testing.TB, c ldap.Config) *ldap.Module {
	t.Helper()
	m, err := ldap.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func answers(username, password string) realm.Credentials {
	return realm.Credentials{Values: map[string]string{"username": username, "password": password}}
}

func roots(t testing.TB, s *slapd.Server) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CA) {
		t.Fatal("the CA is no certificate")
	}
	return pool
}

// wire opens connections and keeps what was sent on them.
type wire struct {
	// to is where they lead, whatever address was asked for; empty leads there.
	to string

	mu     sync.Mutex
	opened []*tapped
}

type tapped struct {
	net.Conn

	wire   *wire
	sent   bytes.Buffer
	ops    []byte
	closed bool
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if w.to != "" {
		address = strings.TrimPrefix(w.to, "ldap://")
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	tap := &tapped{Conn: conn, wire: w}
	w.opened = append(w.opened, tap)
	return tap, nil
}

func (c *tapped) Write(p []byte) (int, error) {
	c.wire.mu.Lock()
	c.sent.Write(p)
	c.ops = append(c.ops, operation(p))
	c.wire.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *tapped) Close() error {
	c.wire.mu.Lock()
	c.closed = true
	c.wire.mu.Unlock()
	return c.Conn.Close()
}

// operations returns the tags of the requests that were sent on each connection, and fails when one is left open.
func (w *wire) operations(t testing.TB) [][]byte {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all [][]byte
	for i, c := range w.opened {
		all = append(all, bytes.Clone(c.ops))
		if !c.closed {
			t.Errorf("connection %d is left open", i)
		}
	}
	return all
}

// sent returns everything that was sent.
func (w *wire) sent() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all strings.Builder
	for _, c := range w.opened {
		all.Write(c.sent.Bytes())
	}
	return all.String()
}

// Tags of operations (RFC 4511 4.2 and after).
const (
	opBind     = 0x60
	opSearch   = 0x63
	opExtended = 0x77
)

// operation returns the tag of a request: it follows the message's own head and its id.
func operation(message []byte) byte {
	_, content, _ := element(message)
	_, _, rest := element(content)
	tag, _, _ := element(rest)
	return tag
}

// element splits off the first element of some BER; what is none has the tag 0.
func element(data []byte) (tag byte, content, rest []byte) {
	if len(data) < 2 {
		return 0, nil, nil
	}
	length, head := int(data[1]), 2
	if length >= 0x80 {
		head += length & 0x7f
		length = 0
		if len(data) < head || head > 6 {
			return 0, nil, nil
		}
		for _, b := range data[2:head] {
			length = length<<8 | int(b)
		}
	}
	if len(data) < head+length {
		return 0, nil, nil
	}
	return data[0], data[head : head+length], data[head+length:]
}

// ber makes an element of elements, with its length in as few octets as it needs.
func ber(tag byte, contents ...[]byte) []byte {
	content := bytes.Join(contents, nil)
	length := []byte{byte(len(content))}
	if len(content) >= 0x80 {
		length = nil
		for n := len(content); n > 0; n >>= 8 {
			length = slices.Insert(length, 0, byte(n))
		}
		length = slices.Insert(length, 0, 0x80|byte(len(length)))
	}
	return slices.Concat([]byte{tag}, length, content)
}

func octets(s string) []byte { return ber(0x04, []byte(s)) }

// reply is the result of an operation, with the tag that answers it.
func reply(tag, code byte, said string) []byte {
	return ber(tag, ber(0x0a, []byte{code}), octets(""), octets(said))
}

// impostor is a server that is told what to answer to each operation. Answers without the id of the request are completed.
type impostor func(op byte, request []byte) [][]byte

// serve answers on one connection until it ends.
func (i impostor) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the other side may have gone first
	buffer := make([]byte, 64<<10)
	for n := 0; ; {
		tag, message, rest := element(buffer[:n])
		if tag == 0 {
			more, err := conn.Read(buffer[n:])
			if err != nil {
				return
			}
			n += more
			continue
		}
		_, id, operation := element(message)
		op, request, _ := element(operation)
		for _, answer := range i(op, request) {
			if _, err := conn.Write(ber(0x30, ber(0x02, id), answer)); err != nil {
				return
			}
		}
		n = copy(buffer, rest)
	}
}

// dial leads every connection to the impostor.
func (i impostor) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go i.serve(theirs)
	return ours, nil
}

// entry is a found entry with one value for each attribute.
func entry(dn string, attributes ...string) []byte {
	var list [][]byte
	for j := 0; j+1 < len(attributes); j += 2 {
		list = append(list, ber(0x30, octets(attributes[j]), ber(0x31, octets(attributes[j+1]))))
	}
	return ber(0x64, octets(dn), ber(0x30, list...))
}

// willing is an impostor that accepts every bind and finds one entry.
func willing(attributes ...string) impostor {
	return func(op byte, _ []byte) [][]byte {
		if op == opBind {
			return [][]byte{reply(0x61, 0, "")}
		}
		return [][]byte{entry("uid=x,dc=example,dc=com", attributes...), reply(0x65, 0, "")}
	}
}

// posing is the configuration of a module that asks an impostor.
func posing(i impostor) ldap.Config {
	return ldap.Config{URL: "ldap://localhost", BindDN: service, Password: serviceSecret, Base: people, Dial: i.dial}
}
