// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func TestCheckRedirectURI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, uri string
		want      bool
	}{
		{"RFC6749/3.1.2 https", "https://app.example.com/cb", true},
		{"RFC6749/3.1.2 https without a path", "https://app.example.com", true},
		{"RFC6749/3.1.2 registered query", "https://app.example.com/cb?x=1", true},
		{"RFC6749/3.1.2 port", "https://app.example.com:8443/cb", true},
		{"RFC8252/7.1 scheme", "com.example.app:/cb", true},
		{"RFC8252/7.1 scheme with an authority", "com.example.app://cb", true},
		{"RFC8252/7.3 IPv4 loopback", "http://127.0.0.1/cb", true},
		{"RFC8252/7.3 IPv6 loopback", "http://[::1]/cb", true},
		{"RFC8252/8.3 localhost", "http://localhost:8080/cb", true},
		{"RFC8252/7.2 claimed https", "https://app.example.com/oauth2redirect/example-provider", true},

		{"RFC6749/3.1.2 empty", "", false},
		{"RFC6749/3.1.2 relative", "/cb", false},
		{"RFC6749/3.1.2 no scheme", "//app.example.com/cb", false},
		{"RFC6749/3.1.2 fragment", "https://a.example.com/#x", false},
		{"RFC6749/3.1.2 empty fragment", "https://a.example.com/#", false},
		{"RFC6749/3.1.2 opaque", "https:app.example.com", false},
		{"RFC6749/3.1.2 no host", "https:///cb", false},
		{"RFC6749/3.1.2 only a port", "https://:443/cb", false},
		{"RFC6749/3.1.2 user information", "https://user@app.example.com/cb", false},
		{"RFC6749/3.1.2 empty user information", "https://@app.example.com/cb", false},
		{"RFC6749/3.1.2 password", "https://user:secret@app.example.com/cb", false},
		{"RFC6749/3.1.2 port out of range", "https://app.example.com:65536/cb", false},
		{"RFC6749/3.1.2 port zero", "https://app.example.com:0/cb", false},
		{"RFC6749/3.1.2 empty port", "http://localhost:/cb", false},
		{"RFC6749/3.1.2 port in another spelling", "https://app.example.com:0443/cb", false},
		{"RFC8252/7.1 scheme without a period", "myapp:/cb", false},
		{"RFC8252/7.1 opaque private scheme", "com.example.app:cb", false},
		{"RFC9700/2.6 http", "http://app.example.com/cb", false},
		{"RFC9700/2.6 http on a name like loopback", "http://localhost.example.com/cb", false},
		{"RFC9700/2.6 http on an address like loopback", "http://127.0.0.1.example.com/cb", false},
		{"RFC9700/2.6 http on any address", "http://0.0.0.0/cb", false},
		{"RFC9700/2.1 wildcard host", "https://*.example.com/cb", false},
		{"RFC9700/2.1 wildcard path", "https://app.example.com/*", false},
		{"javascript", "javascript:alert(1)", false},
		{"data", "data:text/html,x", false},
		{"backslash", `https://app.example.com\@evil.example`, false},
		{"space", "https://app.example.com/a b", false},
		{"tab", "https://app.example.com/a\tb", false},
		{"line break", "https://app.example.com/a\r\nb", false},
		{"quote", `https://app.example.com/"x`, false},
		{"angle bracket", "https://app.example.com/<x>", false},
		{"not ASCII", "https://app.exämple.com/cb", false},
		{"homograph", "https://app.example\u3002com/cb", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if err := oauth.CheckRedirectURI(test.uri); (err == nil) != test.want {
				t.Errorf("%q: %v", test.uri, err)
			}
		})
	}
}

func TestMatchRedirectURI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, registered, requested string
		want                        bool
	}{
		{"RFC9700/2.1 exact-redirect", "https://app.example.com/cb", "https://app.example.com/cb", true},
		{"RFC9700/2.1 exact with a query", "https://app.example.com/cb?x=1", "https://app.example.com/cb?x=1", true},
		{"RFC8252/7.1 private scheme", "com.example.app:/cb", "com.example.app:/cb", true},
		{"RFC8252/7.3 loopback-port IPv4", "http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true},
		{"RFC8252/7.3 loopback-port IPv6", "http://[::1]/cb", "http://[::1]:51004/cb", true},
		{"RFC8252/7.3 without a path", "http://127.0.0.1", "http://127.0.0.1:51004", true},
		{"RFC8252/7.3 with a query", "http://127.0.0.1/cb?x=1", "http://127.0.0.1:51004/cb?x=1", true},
		{"RFC8252/7.3 lowest port", "http://127.0.0.1/cb", "http://127.0.0.1:1/cb", true},
		{"RFC8252/7.3 highest port", "http://127.0.0.1/cb", "http://127.0.0.1:65535/cb", true},
		{"RFC8252/8.3 localhost as registered", "http://localhost/cb", "http://localhost:51004/cb", true},
		{"RFC8252/7.3 registered port is exact", "http://127.0.0.1:8080/cb", "http://127.0.0.1:8080/cb", true},

		{"RFC8252/7.3 other than the registered port", "http://127.0.0.1:8080/cb", "http://127.0.0.1:8081/cb", false},
		{"RFC8252/7.3 no port where one is registered", "http://127.0.0.1:8080/cb", "http://127.0.0.1/cb", false},
		{"RFC8252/7.3 different path", "http://127.0.0.1/cb", "http://127.0.0.1:51004/other", false},
		{"RFC8252/7.3 longer path", "http://127.0.0.1/cb", "http://127.0.0.1:51004/cb/", false},
		{"RFC8252/7.3 different query", "http://127.0.0.1/cb", "http://127.0.0.1:51004/cb?x=1", false},
		{"RFC8252/7.3 fragment", "http://127.0.0.1/cb", "http://127.0.0.1:51004/cb#x", false},
		{"RFC8252/7.3 another loopback address", "http://127.0.0.1/cb", "http://127.0.0.2:51004/cb", false},
		{"RFC8252/7.3 localhost for the literal", "http://127.0.0.1/cb", "http://localhost:51004/cb", false},
		{"RFC8252/7.3 the literal for localhost", "http://localhost/cb", "http://127.0.0.1:51004/cb", false},
		{"RFC8252/7.3 IPv6 for IPv4", "http://127.0.0.1/cb", "http://[::1]:51004/cb", false},
		{"RFC8252/7.3 another spelling of the address", "http://127.0.0.1/cb", "http://127.1:51004/cb", false},
		{"RFC8252/7.3 https", "http://127.0.0.1/cb", "https://127.0.0.1:51004/cb", false},
		{"RFC8252/7.3 https on loopback has no free port", "https://127.0.0.1/cb", "https://127.0.0.1:51004/cb", false},
		{"RFC8252/7.3 user information instead of a port", "http://127.0.0.1/cb", "http://127.0.0.1:51004@evil.example/cb", false},
		{"RFC8252/7.3 host behind the port", "http://127.0.0.1", "http://127.0.0.1:80.evil.example", false},
		{"RFC8252/7.3 empty port", "http://127.0.0.1/cb", "http://127.0.0.1:/cb", false},
		{"RFC8252/7.3 port zero", "http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false},
		{"RFC8252/7.3 port out of range", "http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false},
		{"RFC8252/7.3 port of many digits", "http://127.0.0.1/cb", "http://127.0.0.1:000000080/cb", false},
		{"RFC8252/7.3 port with a leading zero", "http://127.0.0.1/cb", "http://127.0.0.1:080/cb", false},
		{"RFC8252/7.3 port with a sign", "http://127.0.0.1/cb", "http://127.0.0.1:+80/cb", false},
		{"RFC8252/7.3 port in other digits", "http://127.0.0.1/cb", "http://127.0.0.1:٨٠/cb", false},
		{"no free port for a name", "http://app.example.com/cb", "http://app.example.com:51004/cb", false},
		{"nothing matches nothing registered", "", "https://app.example.com/cb", false},
		{"a malformed registration matches nothing else", "http://[::1", "http://[::1:80", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := oauth.MatchRedirectURI(test.registered, test.requested); got != test.want {
				t.Errorf("%q for %q: got %t", test.requested, test.registered, got)
			}
		})
	}
}

// TestOpenRedirectCorpus is RFC9700/2.1 exact-redirect and RFC6749/3.1.2.3 simple-compare over the spellings that have
// opened other servers.
func TestOpenRedirectCorpus(t *testing.T) {
	t.Parallel()
	const host, path = "app.example.com", "/cb"
	const registered = "https://" + host + path
	corpus := []string{
		// Another host behind something that looks like ours.
		"https://" + host + "@evil.example" + path, "https://" + host + ":x@evil.example" + path,
		"https://" + host + "%40evil.example" + path, "https://evil.example/" + registered,
		"https://" + host + ".evil.example" + path, "https://" + host + "evil.example" + path,
		"https://evil" + host + path, "https://evil." + host + path, "https://" + host + "%2eevil.example" + path,
		"https://" + host + `\@evil.example` + path, "https://" + host + "#@evil.example" + path,
		"https://" + host + "?@evil.example" + path, "https://evil.example#" + registered, "https://evil.example?" + registered,
		// Slashes and backslashes.
		"//" + host + path, "//evil.example" + path, "///evil.example", "/\\evil.example", `\\evil.example`, `/\/evil.example`,
		"https:" + host + path, "https:/" + host + path, "https:///" + host + path, `https:\\` + host + path,
		`https:/\` + host + path, "https://" + host + "//" + path, "https://" + host + `\cb`, "https://" + host + "//evil.example",
		// Case.
		"HTTPS://" + host + path, "https://APP.example.com" + path, "https://" + host + "/CB", "Https://" + host + path,
		// Ports.
		"https://" + host + ":443" + path, "https://" + host + ":" + path, "https://" + host + ":80" + path, "http://" + host + path,
		// The path.
		registered + "/", registered + "/..", registered + "/../evil", registered + "//", "https://" + host + "/./cb",
		"https://" + host + "/x/../cb", "https://" + host + "%2Fcb", "https://" + host + "/%63b", "https://" + host + "/cb%2F",
		"https://" + host + "/cb%2e%2e", registered + ";x", registered + "%00", registered + "%20", registered + "%0d%0aSet-Cookie:x",
		"https://" + host, "https://" + host + "/", registered + "x", registered[:len(registered)-1],
		// The query and the fragment.
		registered + "?", registered + "?x=1", registered + "?next=//evil.example", registered + "#", registered + "#x", registered + "%23",
		registered + "&x=1",
		// Whitespace and control characters, plain and encoded.
		" " + registered, registered + " ", "\t" + registered, registered + "\t", registered + "\n", registered + "\r\n", "\x00" + registered,
		registered + "\x00", "ht\ntps://" + host + path, "https://" + host + "\t" + path, "https://" + host + "\u00a0" + path,
		"https://" + host + "%09" + path, "%20" + registered, "\ufeff" + registered, registered + "\u200b",
		// The host in another spelling.
		"https://" + host + "." + path, "https://app.example\u3002com" + path, "https://app\uff0eexample\uff0ecom" + path,
		"https://\u0430pp.example.com" + path, "https://%61pp.example.com" + path,
		// Other schemes.
		"javascript:alert(1)", "javascript://" + host + "/%0aalert(1)", "data:text/html," + registered, "ftp://" + host + path,
		"view-source:" + registered, "blob:" + registered, "com.example.app:/cb",
		"",
	}
	for i, requested := range corpus {
		t.Run(fmt.Sprintf("%d %q", i, requested), func(t *testing.T) {
			t.Parallel()
			if oauth.MatchRedirectURI(registered, requested) {
				t.Error("it matches")
			}
			// The same spelling around a loopback URI, whose port is the only thing that may move.
			loopback := strings.NewReplacer("https://", "http://", "HTTPS://", "HTTP://", host, "127.0.0.1").Replace(requested)
			if loopback != "http://127.0.0.1/cb" && !strings.HasPrefix(loopback, "http://127.0.0.1:80/") &&
				!strings.HasPrefix(loopback, "http://127.0.0.1:443/") && oauth.MatchRedirectURI("http://127.0.0.1/cb", loopback) {
				t.Errorf("%q matches", loopback)
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	tests := []struct {
		host string
		want bool
	}{
		{"localhost", true},
		{"127.0.0.1", true},
		{"127.8.9.10", true},
		{"::1", true},
		{"", false},
		{"LOCALHOST", false},
		{"localhost.", false},
		{"localhost.example.com", false},
		{"127.0.0.1.example.com", false},
		{"127.1", false},
		{"2130706433", false},
		{"0x7f000001", false},
		{"0.0.0.0", false},
		{"::", false},
		{"[::1]", false},
		{"::1%lo", false},
		{"10.0.0.1", false},
		{"169.254.169.254", false},
	}
	for _, test := range tests {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			if got := oauth.IsLoopback(test.host); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestWithQuery(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, uri string
		params    url.Values
		want      string
	}{
		{"RFC6749/3.1.2 redirect-abs no query", "https://a.example/cb", url.Values{"code": {"x y"}}, "https://a.example/cb?code=x+y"},
		{"RFC6749/3.1.2 redirect-abs registered query", "https://a.example/cb?x=1", url.Values{"code": {"c"}}, "https://a.example/cb?x=1&code=c"},
		{
			"RFC6749/4.1.2 state-echo", "https://a.example/cb", url.Values{"code": {"c"}, "state": {`+%&="`}},
			"https://a.example/cb?code=c&state=%2B%25%26%3D%22",
		},
		{"RFC8252/7.1 private scheme", "com.example.app:/cb", url.Values{"code": {"c"}}, "com.example.app:/cb?code=c"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := oauth.WithQuery(test.uri, test.params); got != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A value cannot break out of the query it is put into, whatever it holds.
func TestWithQueryConfines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		state := rapid.String().Draw(t, "state")
		u, err := url.Parse(oauth.WithQuery("https://app.example.com/cb?x=1", url.Values{"state": {state}}))
		if err != nil || u.Host != "app.example.com" || u.Path != "/cb" || u.Fragment != "" {
			t.Fatalf("got %v, %v", u, err)
		}
		if got := u.Query(); got.Get("state") != state || got.Get("x") != "1" || len(got) != 2 {
			t.Fatalf("got %v", got)
		}
	})
}

// checkMatch is the property of the comparison: what matches is equal, or equal but for the port of an http URI on a
// loopback host, as a parser that knows nothing of the comparison reads it.
func checkMatch(registered, requested string) error {
	if !oauth.MatchRedirectURI(registered, requested) {
		if registered == requested {
			return fmt.Errorf("%q does not match itself", registered)
		}
		return nil
	}
	if registered == requested {
		return nil
	}
	want, err := url.Parse(registered)
	if err != nil {
		return fmt.Errorf("%q matches %q, which is not a URI", requested, registered)
	}
	got, err := url.Parse(requested)
	if err != nil {
		return fmt.Errorf("%q, which is not a URI, matches", requested)
	}
	if want.Scheme != "http" || !oauth.IsLoopback(want.Hostname()) || want.Port() != "" {
		return fmt.Errorf("%q has no free port and %q matches", registered, requested)
	}
	if got.Hostname() != want.Hostname() || got.Port() == "" {
		return fmt.Errorf("%q matches %q", requested, registered)
	}
	if strings.Replace(requested, ":"+got.Port(), "", 1) != registered {
		return fmt.Errorf("%q matches %q and differs by more than the port", requested, registered)
	}
	return nil
}

func TestMatchRedirectURINeverWidens(t *testing.T) {
	t.Parallel()
	registered := rapid.SampledFrom([]string{
		"https://app.example.com/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb", "http://127.0.0.1",
		"http://127.0.0.1:8080/cb", "com.example.app:/cb", "http://127.0.0.1/cb?x=1",
	})
	piece := rapid.SampledFrom([]string{
		"", ":", "80", ":80", ":65536", "@", "/", "//", `\`, ".", "..", "?", "#", "%2F", "evil.example", " ", "\t", "x", ":80:80",
	})
	rapid.Check(t, func(t *rapid.T) {
		r := registered.Draw(t, "registered")
		at := rapid.IntRange(0, len(r)).Draw(t, "at")
		requested := r[:at] + piece.Draw(t, "first") + piece.Draw(t, "second") + r[at:]
		if err := checkMatch(r, requested); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzMatchRedirectURI(f *testing.F) {
	for _, seed := range [][2]string{
		{"https://app.example.com/cb", "https://app.example.com/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:80/cb"},
		{"http://[::1]/cb", "http://[::1]:80/cb"},
		{"http://localhost:/cb", "http://localhost::80/cb"},
		{"http://127.0.0.1", "http://127.0.0.1:80@evil.example"},
		{"http://127.0.0.1:80", "http://127.0.0.1:80:80"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, registered, requested string) {
		if oauth.CheckRedirectURI(registered) != nil {
			_ = oauth.MatchRedirectURI(registered, requested)
			return // it cannot be registered
		}
		if err := checkMatch(registered, requested); err != nil {
			t.Fatal(err)
		}
	})
}
