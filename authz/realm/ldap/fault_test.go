// SPDX-License-Identifier: Apache-2.0

package ldap_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/ldap"
	"github.com/gatehouse-id/gatehouse/tests/slapd"
)

// fails makes sure that a login is neither accepted nor refused, and that the error tells why and no secret.
func fails(t *testing.T, c ldap.Config, why string) {
	t.Helper()
	failsIn(t.Context(), t, c, why)
}

func failsIn(ctx context.Context, t *testing.T, c ldap.Config, why string) {
	t.Helper()
	got, err := build(t, c).Verify(ctx, answers("alice", password))
	if err == nil {
		t.Fatalf("no error but %+v", got)
	}
	if diff := cmp.Diff(realm.Result{}, got); diff != "" {
		t.Errorf("a result with the error (-want +got):\n%s", diff)
	}
	if !strings.Contains(err.Error(), why) {
		t.Errorf("the error is %q, want something about %q", err, why)
	}
	for _, secret := range []string{password, serviceSecret, marked} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

// marked is in what impostors say: a directory may repeat what it was sent.
const marked = "you-said-hunter2"

func TestProtection(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	trusted, nobody := roots(t, s), x509.NewCertPool()
	for _, tt := range []struct {
		name   string
		change func(*ldap.Config)
		why    string // of the error; empty for a login that works
		clear  bool   // the password may be seen on the wire
	}{
		{"plain on this host", func(*ldap.Config) {}, "", true},
		{"StartTLS on this host", func(c *ldap.Config) { c.StartTLS = true }, "", false},
		{"StartTLS by itself elsewhere", func(c *ldap.Config) { c.URL = "ldap://" + slapd.Host }, "", false},
		{"plain elsewhere by permission", func(c *ldap.Config) { c.URL, c.AllowPlain = "ldap://"+slapd.Host, true }, "", true},
		{"StartTLS with an unknown CA", func(c *ldap.Config) { c.StartTLS, c.Roots = true, nobody }, "certificate", false},
		{"StartTLS with the system's CAs", func(c *ldap.Config) { c.StartTLS, c.Roots = true, nil }, "certificate", false},
		{"StartTLS with another name", func(c *ldap.Config) { c.URL = "ldap://other.example.com" }, "certificate", false},
		{"ldaps where there is no TLS", func(c *ldap.Config) { c.URL = "ldaps://localhost" }, "connecting to the directory", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &wire{to: s.LDAP}
			c := searching(s)
			c.Roots, c.Dial = trusted, w.dial
			tt.change(&c)
			if tt.why != "" {
				fails(t, c, tt.why)
			} else if got, err := build(t, c).Verify(t.Context(), answers("alice", password)); err != nil || got.Status != realm.Accepted {
				t.Errorf("%+v, %v", got, err)
			}
			w.operations(t)
			if seen := strings.Contains(w.sent(), password) || strings.Contains(w.sent(), serviceSecret); seen != tt.clear {
				t.Errorf("a password was seen on the wire: %t", seen)
			}
		})
	}
}

func TestLDAPS(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	c := searching(s)
	c.URL, c.Roots = s.LDAPS, roots(t, s)
	if got, err := build(t, c).Verify(t.Context(), answers("alice", password)); err != nil || got.Status != realm.Accepted {
		t.Errorf("%+v, %v", got, err)
	}
	c.Roots = x509.NewCertPool()
	fails(t, c, "certificate")
}

// A directory that demands TLS says so, and that is not a wrong password.
func TestDirectoryDemandsTLS(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{Global: "security simple_bind=128"})
	fails(t, searching(s), "binding as the account that searches: the directory answers 13 (Confidentiality Required)")
	c := searching(s)
	c.StartTLS, c.Roots = true, roots(t, s)
	if got, err := build(t, c).Verify(t.Context(), answers("alice", password)); err != nil || got.Status != realm.Accepted {
		t.Errorf("with StartTLS: %+v, %v", got, err)
	}
}

// A server without StartTLS gets no password.
func TestNoStartTLS(t *testing.T) {
	t.Parallel()
	for code, why := range map[byte]string{2: "the directory answers 2 (Protocol Error)", 52: "the directory answers 52 (Unavailable)"} {
		c := posing(func(op byte, _ []byte) [][]byte {
			if op != opExtended {
				t.Errorf("operation %#x after StartTLS was refused", op)
			}
			return [][]byte{reply(0x78, code, marked)}
		})
		c.StartTLS = true
		fails(t, c, why)
	}
}

func TestMisconfigured(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{Database: "access to attrs=entryUUID by * none\naccess to * by anonymous auth by * read"})
	for _, tt := range []struct {
		name   string
		change func(*ldap.Config)
		why    string
	}{
		{"a wrong password of the service account", func(c *ldap.Config) { c.Password = "other-secret" },
			"binding as the account that searches: the directory refuses: wrong_password"},
		{"nobody may search", func(c *ldap.Config) { c.BindDN, c.Password = "", "" }, "searching for the user: the directory answers 50 (Insufficient Access Rights)"},
		{"a base that is not there", func(c *ldap.Config) { c.Base = "ou=nowhere," + slapd.Suffix }, "the directory answers 32 (No Such Object)"},
		{"a base of somebody else's", func(c *ldap.Config) { c.Base = "dc=elsewhere" }, "the directory answers"},
		{"an id that may not be read", func(c *ldap.Config) { c.ID = "" }, `0 values of the attribute "entryUUID"`},
		{"an id of two values", func(c *ldap.Config) { c.ID = "mail" }, `2 values of the attribute "mail"`},
		{"a base of groups that is not there", func(c *ldap.Config) {
			c.Groups = &ldap.Groups{Base: "ou=nowhere," + slapd.Suffix, Filter: "(member={dn})"}
		}, "reading the groups of the user: the directory answers 32"},
		{"an attribute that names no groups", func(c *ldap.Config) { c.Groups = &ldap.Groups{Attribute: "mail"} }, "names no entry"},
		{"an own entry that may not be read", func(c *ldap.Config) {
			*c = ldap.Config{URL: s.LDAP, BindDN: "uid={username}," + people}
		}, `0 values of the attribute "entryUUID"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := searching(s)
			c.ID = "uid"
			tt.change(&c)
			fails(t, c, tt.why)
		})
	}
}

func TestDirectoryIsDown(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	c := searching(s)
	s.Stop()
	fails(t, c, "connecting to the directory")
}

// silent is a server that takes connections and says nothing. It tells of each.
func silent(t *testing.T) (address string, taken <-chan struct{}) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{}, 16)
	var open []net.Conn
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open = append(open, conn)
			arrived <- struct{}{}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	return listener.Addr().String(), arrived
}

// A server that never answers holds nobody longer than the caller waits, whatever is under way.
func TestDirectoryNeverAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*ldap.Config)
	}{
		{"plain", func(*ldap.Config) {}},
		{"StartTLS", func(c *ldap.Config) { c.StartTLS = true }},
		{"ldaps", func(c *ldap.Config) { c.URL = strings.Replace(c.URL, "ldap:", "ldaps:", 1) }},
		{"direct", func(c *ldap.Config) { *c = ldap.Config{URL: c.URL, BindDN: "uid={username}," + people} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, taken := silent(t)
			c := ldap.Config{URL: "ldap://" + address, BindDN: service, Password: serviceSecret, Base: people, Timeout: time.Hour}
			tt.change(&c)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-taken
				cancel()
			}()
			got, err := build(t, c).Verify(ctx, answers("alice", password))
			if !errors.Is(err, context.Canceled) || got.Status != "" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// The module's own time-out ends a login as well, one that began well included.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := tree(t, slapd.Options{})
	c := searching(s)
	c.Timeout = 50 * time.Millisecond
	s.Signal(t, syscall.SIGSTOP) // the kernel takes the connection, and nobody answers
	got, err := build(t, c).Verify(t.Context(), answers("alice", password))
	if !errors.Is(err, context.DeadlineExceeded) || got.Status != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// So many logins at once and no more.
func TestBusy(t *testing.T) {
	t.Parallel()
	address, taken := silent(t)
	m := build(t, ldap.Config{URL: "ldap://" + address, BindDN: service, Password: serviceSecret, Base: people, Concurrency: 2})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if _, err := m.Verify(ctx, answers("alice", password)); !errors.Is(err, context.Canceled) {
				t.Errorf("a login under way ends with %v", err)
			}
		})
		<-taken
	}
	got, err := m.Verify(ctx, answers("alice", password))
	want := realm.Result{Status: realm.Busy, RetryAfter: time.Second, Reason: "directory_busy"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	cancel()
	group.Wait()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := m.Verify(ended, answers("alice", password)); err == nil {
		t.Errorf("places are not given back: %+v", got)
	}
}

// What Active Directory says about accounts, and servers of other families.
func TestWhatDirectoriesSayAboutAccounts(t *testing.T) {
	t.Parallel()
	windows := func(data string) string {
		return "80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data " + data + ", v4563\x00"
	}
	for _, tt := range []struct {
		name   string
		code   byte
		said   string
		reason string
	}{
		{"wrong password", 49, windows("52e"), "wrong_password"},
		{"no such user", 49, windows("525"), "unknown_login"},
		{"not now", 49, windows("530"), "not_at_this_time"},
		{"not here", 49, windows("531"), "not_from_here"},
		{"password expired", 49, windows("532"), "password_expired"},
		{"disabled", 49, windows("533"), "deactivated"},
		{"account expired", 49, windows("701"), "account_expired"},
		{"must change", 49, windows("773"), "password_must_be_changed"},
		{"locked", 49, windows("775"), "locked"},
		{"something new", 49, windows("999"), "wrong_password"},
		{"a code that is too long", 49, windows("533533533"), "wrong_password"},
		{"nothing", 49, "", "wrong_password"},
		{"no such object", 32, "", "unknown_login"},
		{"no password", 48, "", "no_password"},
		{"too many tries", 19, "Exceed password retry limit. Please try later.", "locked"},
		{"inactivated", 53, "Account inactivated. Contact system administrator.", "deactivated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := build(t, posing(onUserBind(reply(0x61, tt.code, tt.said))))
			got, err := m.Verify(t.Context(), answers("alice", password))
			if diff := cmp.Diff(refusedFor(tt.reason), got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// onUserBind is an impostor that accepts the service account, finds an entry, and answers to the user's bind.
func onUserBind(answer ...[]byte) impostor {
	found := willing("entryUUID", aliceUUID)
	return func(op byte, request []byte) [][]byte {
		if op == opBind && !strings.Contains(string(request), service) {
			return answer
		}
		return found(op, request)
	}
}

// Whatever else a directory answers to a bind is a fault of its own, and nobody is let in.
func TestBindFaults(t *testing.T) {
	t.Parallel()
	for _, code := range []byte{1, 2, 3, 7, 8, 10, 11, 13, 14, 34, 50, 51, 52, 80, 120} {
		fails(t, posing(onUserBind(reply(0x61, code, marked))), fmt.Sprintf("binding as the user: the directory answers %d", code))
	}
	for name, answer := range map[string][]byte{
		"nothing of the kind": octets(marked), "an answer without a code": ber(0x61), "an answer that is too short": ber(0x61, ber(0x0a, []byte{0})),
		"an answer of no code": ber(0x61, octets(marked), octets(""), octets("")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fails(t, posing(onUserBind(answer)), "binding as the user")
		})
	}
}

func TestSearchFaults(t *testing.T) {
	t.Parallel()
	done := reply(0x65, 0, "")
	uuid := []string{"entryUUID", aliceUUID}
	found := entry("uid=x", uuid...)
	for _, tt := range []struct {
		name    string
		answers [][]byte
		why     string
	}{
		{"unavailable", [][]byte{reply(0x65, 52, marked)}, "the directory answers 52 (Unavailable)"},
		{"a referral", [][]byte{ber(0x65, ber(0x0a, []byte{10}), octets(""), octets(marked), ber(0xa3, octets("ldap://"+marked)))}, "the directory answers 10 (Referral)"},
		{"an entry and then a fault", [][]byte{found, reply(0x65, 51, "")}, "the directory answers 51 (Busy)"},
		{"an entry without a name", [][]byte{entry("", uuid...), done}, "the entry has no name"},
		{"an entry without attributes", [][]byte{ber(0x64, octets("uid=x")), done}, "searching for the user"},
		{"an id of control characters", [][]byte{entry("uid=x", "entryUUID", "a\nb"), done}, `"entryUUID" of the user's entry is no usable id`},
		{"an id that is no text", [][]byte{entry("uid=x", "entryUUID", "\xff\xfe"), done}, "no usable id"},
		{"an empty id", [][]byte{entry("uid=x", "entryUUID", ""), done}, "no usable id"},
		{"a huge id", [][]byte{entry("uid=x", "entryUUID", strings.Repeat("a", 201)), done}, "no usable id"},
		{"an entry and nothing more but noise", [][]byte{found, octets(marked)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := posing(func(op byte, _ []byte) [][]byte {
				if op == opBind {
					return [][]byte{reply(0x61, 0, "")}
				}
				return tt.answers
			})
			c.Timeout = time.Second
			fails(t, c, tt.why)
		})
	}
}

// Referrals among what was found are not followed, and are no entries.
func TestReferralsAmongEntries(t *testing.T) {
	t.Parallel()
	elsewhere := ber(0x73, octets("ldap://elsewhere.example.com/"))
	for name, tt := range map[string]struct {
		found [][]byte
		want  realm.Status
	}{
		"only referrals":          {[][]byte{elsewhere, elsewhere, reply(0x65, 0, "")}, realm.Refused},
		"an entry and a referral": {[][]byte{elsewhere, entry("uid=x", "entryUUID", aliceUUID), reply(0x65, 0, "")}, realm.Accepted},
	} {
		got, err := build(t, posing(func(op byte, _ []byte) [][]byte {
			if op == opBind {
				return [][]byte{reply(0x61, 0, "")}
			}
			return tt.found
		})).Verify(t.Context(), answers("alice", password))
		if err != nil || got.Status != tt.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// A directory that never stops talking is left, with two entries as with endless ones.
func TestDirectoryNeverStops(t *testing.T) {
	t.Parallel()
	big := entry("uid=x", "entryUUID", strings.Repeat("a", 1<<20))
	twice := posing(func(op byte, _ []byte) [][]byte {
		if op == opBind {
			return [][]byte{reply(0x61, 0, "")}
		}
		return [][]byte{entry("uid=x"), entry("uid=y"), entry("uid=z"), reply(0x65, 0, "")}
	})
	if got, err := build(t, twice).Verify(t.Context(), answers("alice", "wrong")); err != nil || got.Reason != "ambiguous_login" {
		t.Errorf("many entries: %+v, %v", got, err)
	}
	noise := posing(func(op byte, _ []byte) [][]byte {
		if op == opBind {
			return [][]byte{reply(0x61, 0, "")}
		}
		endless := make([][]byte, 64)
		for i := range endless {
			endless[i] = ber(0x73, octets(string(big)))
		}
		return endless
	})
	fails(t, noise, "searching for the user")
}

// Attributes that are of no use are empty, and a picture is no reason to turn somebody away.
func TestHugeValues(t *testing.T) {
	t.Parallel()
	c := posing(willing("entryUUID", aliceUUID, "cn", strings.Repeat("n", 1025), "mail", strings.Repeat("m", 1<<20), "sn", "a\x00b", "o", "\xff"))
	c.Attributes = map[string]string{"email": "mail", "family_name": "sn", "company": "o", "missing": "x"}
	got, err := build(t, c).Verify(t.Context(), answers("alice", password))
	want := realm.Result{Status: realm.Accepted, Identity: realm.Identity{ExternalID: aliceUUID, AMR: []string{"pwd"}, Attributes: map[string]string{
		"email": "", "family_name": "", "company": "", "missing": "", "login": "alice",
	}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	groups := make([]string, 0, 200)
	for i := range 100 {
		groups = append(groups, "memberOf", fmt.Sprintf("cn=group number %d,dc=example", i))
	}
	c = posing(func(op byte, request []byte) [][]byte {
		values := make([][]byte, 0, 100)
		for i := 1; i < len(groups); i += 2 {
			values = append(values, octets(groups[i]))
		}
		if op == opSearch {
			list := ber(0x30, ber(0x30, octets("entryUUID"), ber(0x31, octets(aliceUUID))), ber(0x30, octets("memberOf"), ber(0x31, values...)))
			return [][]byte{ber(0x64, octets("uid=x"), list), reply(0x65, 0, "")}
		}
		return willing()(op, request)
	})
	c.Groups = &ldap.Groups{}
	fails(t, c, "100 groups take more than 1024 bytes")
}

func TestObjectGUID(t *testing.T) {
	t.Parallel()
	c := posing(willing("objectGUID", "\x00\x01\xff\xfe\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0", "objectSid", "\x01\x05"))
	c.ID, c.Attributes = "objectguid", map[string]string{"sid": "objectSID"}
	got, err := build(t, c).Verify(t.Context(), answers("alice", password))
	if err != nil || got.Identity.ExternalID != "0001fffe102030405060708090a0b0c0" || got.Identity.Attributes["sid"] != "0105" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Logins that break off leave no goroutines and no connections.
func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		fails(t, posing(onUserBind(octets(marked))), "binding as the user")
		c := posing(willing("entryUUID", aliceUUID))
		if got, err := build(t, c).Verify(t.Context(), answers("alice", password)); err != nil || got.Status != realm.Accepted {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for tries := 0; runtime.NumGoroutine() > before; tries++ {
		if tries == 1e6 {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}
