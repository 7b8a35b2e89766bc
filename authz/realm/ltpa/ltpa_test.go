// SPDX-License-Identifier: Apache-2.0

package ltpa_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/ltpa"
)

// late is an hour before the vectors expire.
var late = time.UnixMilli(4102444800000).Add(-time.Hour)

func parseKeys(t testing.TB, file string) *ltpa.Keys {
	t.Helper()
	keys, err := ltpa.ParseKeys([]byte(file), keyPassword)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// newModule returns a module that accepts the golden realm, with changes.
func newModule(t testing.TB, keys *ltpa.Keys, change ...func(*ltpa.Config)) *ltpa.Module {
	t.Helper()
	c := ltpa.Config{Keys: []*ltpa.Keys{keys}, Realms: []string{"defaultRealm"}, Now: func() time.Time { return late }}
	for _, f := range change {
		f(&c)
	}
	module, err := ltpa.NewModule(c)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func judge(t testing.TB, m *ltpa.Module, token string) realm.Result {
	t.Helper()
	result, err := m.Verify(t.Context(), realm.Credentials{Values: map[string]string{ltpa.ValueToken: token}})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// who is what the vectors lead to: an id, or the reason of a refusal.
var who = map[string]struct{ id, reason string }{
	"alice":                          {id: "defaultRealm/CN=alice,O=example"},
	"several attributes":             {id: "defaultRealm/CN=alice,O=example"},
	"every special character":        {id: `defaultRealm/CN=a\, b|c%d$e:f`},
	"letters":                        {id: "defaultRealm/CN=Jürgen Ørsted"},
	"outer expiry changed":           {id: "defaultRealm/CN=alice,O=example"},
	"hashed once":                    {reason: "invalid_token"},
	"signed by another key":          {reason: "invalid_token"},
	"somebody else's signature":      {reason: "invalid_token"},
	"two fields":                     {reason: "invalid_token"},
	"outer expiry is no number":      {reason: "invalid_token"},
	"no token in it":                 {reason: "invalid_token"},
	"no inner expiry":                {reason: "unreadable_token"},
	"two inner expiries":             {reason: "unreadable_token"},
	"inner expiry is no number":      {reason: "unreadable_token"},
	"inner expiry is negative":       {reason: "unreadable_token"},
	"inner expiry is huge":           {reason: "unreadable_token"},
	"unsorted":                       {reason: "unreadable_token"},
	"an attribute twice":             {reason: "unreadable_token"},
	"an unescaped colon":             {reason: "unreadable_token"},
	"an escape of nothing special":   {reason: "unreadable_token"},
	"an empty value":                 {reason: "unreadable_token"},
	"no user":                        {reason: "unreadable_token"},
	"long expired":                   {reason: "expired_token"},
	"good for years":                 {reason: "token_lives_too_long"},
	"bob of another realm":           {reason: "realm_not_accepted"},
	"a realm that only begins alike": {reason: "realm_not_accepted"},
	"a user without a realm":         {reason: "realm_not_accepted"},
	"a group":                        {reason: "user_not_accepted"},
	"a user without an id":           {reason: "user_not_accepted"},
}

// judgeAll judges tokens of openssl's.
func judgeAll(t *testing.T, g goldens) {
	t.Helper()
	module := newModule(t, parseKeys(t, g.KeyFile))
	if len(g.Tokens) != len(who) {
		t.Errorf("there are %d vectors, want %d", len(g.Tokens), len(who))
	}
	for name, token := range g.Tokens {
		want := realm.Result{Status: realm.Refused, Reason: who[name].reason}
		if who[name].id != "" {
			want = realm.Result{Status: realm.Accepted, Identity: realm.Identity{ExternalID: who[name].id}}
		}
		if diff := cmp.Diff(want, judge(t, module, token)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestGoldenVectors(t *testing.T) {
	t.Parallel()
	judgeAll(t, golden(t))
}

// TestTrap9LTPAAnswersAndWorksTheSame: every token that does not hold costs as many signature checks as one that does, and the
// caller learns nothing from the answer. The trail tells apart only what has been signed.
func TestTrap9LTPAAnswersAndWorksTheSame(t *testing.T) {
	t.Parallel()
	g := golden(t)
	good, err := base64.StdEncoding.DecodeString(g.Tokens["alice"])
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	bad := map[string]string{
		"nothing":            "",
		"no base64":          "%%%%",
		"base64url":          base64.URLEncoding.EncodeToString([]byte("\xff\xff\xfe")),
		"no padding":         strings.TrimRight(g.Tokens["alice"], "="),
		"a line end":         g.Tokens["alice"][:20] + "\n" + g.Tokens["alice"][20:],
		"something after it": g.Tokens["alice"] + "AAAA",
		"half a block":       encode(good[:24]),
		"one block":          encode(good[:16]),
		"the last block off": encode(good[:len(good)-16]),
		"too long":           encode(make([]byte, ltpa.MaxToken)),
		"zeros":              encode(make([]byte, 256)),
	}
	for i := range good { // of every byte one bit: of the padding, the data, the signature
		flipped := slices.Clone(good)
		flipped[i] ^= 0x10
		bad["flipped at "+string(rune('a'+i%26))+strings.Repeat("'", i/26)] = encode(flipped)
	}
	for name, token := range g.Tokens {
		if who[name].id == "" {
			bad[name] = token
		}
	}
	checks := 0
	module := newModule(t, parseKeys(t, g.KeyFile), func(c *ltpa.Config) { c.Keys = append(c.Keys, parseKeys(t, g.KeyFile)) })
	module.CountVerifications(func() { checks++ })
	if result := judge(t, module, g.Tokens["alice"]); result.Status != realm.Accepted || checks != 2 {
		t.Fatalf("a good token ends as %+v after %d checks", result, checks)
	}
	for name, token := range bad {
		checks = 0
		result := judge(t, module, token)
		if result.Status == realm.Accepted && strings.HasPrefix(name, "flipped") && result.Identity.ExternalID == "defaultRealm/CN=alice,O=example" {
			continue // a digit of the outer expiry, which nobody has signed and nobody looks at
		}
		if checks != 2 {
			t.Errorf("%s: %d signatures are checked", name, checks)
		}
		reason := who[name].reason
		if reason == "" {
			reason = "invalid_token"
		}
		if diff := cmp.Diff(realm.Result{Status: realm.Refused, Reason: reason}, result); diff != "" {
			t.Errorf("%s: the answer differs (-want +got):\n%s", name, diff)
		}
	}
}

// A token is good up to the moment that is signed, and not in it.
func TestExpiry(t *testing.T) {
	t.Parallel()
	g := golden(t)
	expires := late.Add(time.Hour)
	for _, tt := range []struct {
		name string
		now  time.Time
		max  time.Duration
		want string
	}{
		{"a moment before", expires.Add(-time.Millisecond), 0, ""},
		{"then", expires, 0, "expired_token"},
		{"after", expires.Add(time.Millisecond), 0, "expired_token"},
		{"a day before", expires.Add(-24 * time.Hour), 0, ""},
		{"more than a day before", expires.Add(-24*time.Hour - time.Millisecond), 0, "token_lives_too_long"},
		{"two hours before, of one", expires.Add(-2 * time.Hour), time.Hour, "token_lives_too_long"},
		{"a week before, of two", expires.Add(-7 * 24 * time.Hour), 14 * 24 * time.Hour, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			module := newModule(t, parseKeys(t, g.KeyFile), func(c *ltpa.Config) {
				c.Now, c.MaxLifetime = func() time.Time { return tt.now }, tt.max
			})
			if result := judge(t, module, g.Tokens["alice"]); result.Reason != tt.want || (result.Status == realm.Accepted) != (tt.want == "") {
				t.Errorf("it ends as %+v, want %q", result, tt.want)
			}
		})
	}
}

func TestWhoTheTokenNames(t *testing.T) {
	t.Parallel()
	g := golden(t)
	for _, tt := range []struct {
		name, token string
		change      func(*ltpa.Config)
		want        realm.Result
	}{
		{"the id alone", "alice", func(c *ltpa.Config) { c.Mapping.ID = "uid" },
			accepted(realm.Identity{ExternalID: "CN=alice,O=example"})},
		{"two realms", "bob of another realm", func(c *ltpa.Config) { c.Realms = []string{"defaultRealm", "otherRealm"} },
			accepted(realm.Identity{ExternalID: "otherRealm/CN=bob"})},
		{"attributes", "several attributes", func(c *ltpa.Config) {
			c.Mapping = realm.Mapping{Name: "uid", Attributes: map[string]string{
				"email": "email", "groups": "groups", "realm": "realm", "key": "cacheKey", "nothing": "nothing",
			}}
		}, accepted(realm.Identity{
			ExternalID: "defaultRealm/CN=alice,O=example", Name: "CN=alice,O=example",
			Attributes: map[string]string{"email": "alice@example.com", "realm": "defaultRealm", "key": "x%y$z"},
		})},
		{"a pattern", "alice", func(c *ltpa.Config) { c.UserPattern = `CN=[a-z]+,O=example` },
			accepted(realm.Identity{ExternalID: "defaultRealm/CN=alice,O=example"})},
		{"a pattern that captures", "alice", func(c *ltpa.Config) { c.UserPattern = `CN=([a-z]+),O=example` },
			accepted(realm.Identity{ExternalID: "defaultRealm/alice"})},
		{"a pattern that fits a part only", "alice", func(c *ltpa.Config) { c.UserPattern = `CN=[a-z]+` }, refused("user_not_accepted")},
		{"a pattern of choices that fits a part only", "alice", func(c *ltpa.Config) { c.UserPattern = `x|CN=alice` }, refused("user_not_accepted")},
		{"a pattern that captures nothing", "alice", func(c *ltpa.Config) { c.UserPattern = `CN=alice,O=example(x?)` }, refused("user_not_accepted")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := judge(t, newModule(t, parseKeys(t, g.KeyFile), tt.change), g.Tokens[tt.token])
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("unexpected result (-want +got):\n%s", diff)
			}
		})
	}
}

func accepted(i realm.Identity) realm.Result {
	return realm.Result{Status: realm.Accepted, Identity: i}
}

func refused(reason string) realm.Result {
	return realm.Result{Status: realm.Refused, Reason: reason}
}

// While a server's keys are being replaced, tokens of the old ones and of the new ones are good.
func TestKeysThatAreReplaced(t *testing.T) {
	t.Parallel()
	g := golden(t)
	mine := parseKeys(t, g.KeyFile)
	public := "com.ibm.websphere.ltpa.PublicKey="
	at := strings.Index(g.KeyFile, public) + len(public)
	changed := g.KeyFile[:at+20] + map[bool]string{true: "B", false: "A"}[g.KeyFile[at+20] == 'A'] + g.KeyFile[at+21:]
	others := parseKeys(t, changed)
	for _, tt := range []struct {
		name string
		keys []*ltpa.Keys
		want realm.Status
	}{
		{"the old one first", []*ltpa.Keys{others, mine}, realm.Accepted},
		{"the old one last", []*ltpa.Keys{mine, others}, realm.Accepted},
		{"another one", []*ltpa.Keys{others}, realm.Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			module := newModule(t, mine, func(c *ltpa.Config) { c.Keys = tt.keys })
			if result := judge(t, module, g.Tokens["alice"]); result.Status != tt.want {
				t.Errorf("it ends as %+v, want %s", result, tt.want)
			}
		})
	}
}

func TestNewModuleRefuses(t *testing.T) {
	t.Parallel()
	keys := parseKeys(t, golden(t).KeyFile)
	for _, tt := range []struct {
		name   string
		change func(*ltpa.Config)
		says   string
	}{
		{"no clock", func(c *ltpa.Config) { c.Now = nil }, "clock"},
		{"no keys", func(c *ltpa.Config) { c.Keys = nil }, "key files"},
		{"a key that is none", func(c *ltpa.Config) { c.Keys = []*ltpa.Keys{nil} }, "key files"},
		{"too many keys", func(c *ltpa.Config) { c.Keys = []*ltpa.Keys{keys, keys, keys, keys, keys} }, "key files"},
		{"no realm", func(c *ltpa.Config) { c.Realms = nil }, "realms are required"},
		{"too many realms", func(c *ltpa.Config) { c.Realms = strings.Split(strings.Repeat("x", 17), "") }, "realms are required"},
		{"an empty realm", func(c *ltpa.Config) { c.Realms = []string{""} }, `""`},
		{"a realm with a slash", func(c *ltpa.Config) { c.Realms = []string{"a/b"} }, `"a/b"`},
		{"a pattern that is none", func(c *ltpa.Config) { c.UserPattern = "(" }, "pattern"},
		{"a pattern of two groups", func(c *ltpa.Config) { c.UserPattern = "(a)(b)" }, "more than one"},
		{"an id that is none", func(c *ltpa.Config) { c.Mapping.ID = "email" }, `"email"`},
		{"the id alone, of two realms", func(c *ltpa.Config) { c.Mapping.ID, c.Realms = "uid", []string{"a", "b"} }, "use user"},
		{"a method", func(c *ltpa.Config) { c.Mapping.AMR = []string{""} }, "method"},
		{"a lifetime", func(c *ltpa.Config) { c.MaxLifetime = -1 }, "negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := ltpa.Config{Keys: []*ltpa.Keys{keys}, Realms: []string{"defaultRealm"}, Now: time.Now}
			tt.change(&c)
			if _, err := ltpa.NewModule(c); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("NewModule = %v, want an error about %s", err, tt.says)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	g := golden(b)
	module := newModule(b, parseKeys(b, g.KeyFile))
	for _, name := range []string{"alice", "signed by another key", "no token in it"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c := realm.Credentials{Values: map[string]string{ltpa.ValueToken: g.Tokens[name]}}
			for b.Loop() {
				if _, err := module.Verify(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whatever a token is: only data that openssl's key has signed says who somebody is.
func FuzzVerify(f *testing.F) {
	g := golden(f)
	for _, token := range g.Tokens {
		f.Add(token)
	}
	module := newModule(f, parseKeys(f, g.KeyFile))
	signed := map[string]bool{}
	for name := range who {
		signed[who[name].id] = true
	}
	f.Fuzz(func(t *testing.T, token string) {
		result := judge(t, module, token)
		switch result.Status {
		case realm.Accepted:
			if id := result.Identity.ExternalID; id == "" || !signed[id] {
				t.Errorf("%q is %q", token, id)
			}
		case realm.Refused:
			if diff := cmp.Diff(realm.Identity{}, result.Identity); diff != "" {
				t.Errorf("a refusal names somebody: %s", diff)
			}
		default:
			t.Errorf("it ends as %+v", result)
		}
	})
}
