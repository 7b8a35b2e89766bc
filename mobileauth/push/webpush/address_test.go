// SPDX-License-Identifier: Apache-2.0

package webpush_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
)

const authSecret = "BTBZMqHH6r4Tts7J_aSIgg"

func subscription(endpoint string) string {
	return `{"endpoint":"` + endpoint + `","expirationTime":null,"keys":{"p256dh":"` + uaPublic + `","auth":"` + authSecret + `"}}`
}

func checker(t testing.TB, change func(*webpush.Config)) *webpush.Sender {
	t.Helper()
	key, err := webpush.ParseKey([]byte(rawPrivate))
	if err != nil {
		t.Fatal(err)
	}
	c := webpush.Config{Keys: []*webpush.Key{key}, Subject: "mailto:ops@example.com", Now: clock}
	if change != nil {
		change(&c)
	}
	s, err := webpush.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestCheck(t *testing.T) {
	t.Parallel()
	open := checker(t, nil)
	const at = "https://fcm.googleapis.com/fcm/send/s3cret"
	good := subscription(at)
	for _, tt := range []struct {
		name, address string
		good          bool
	}{
		{"as a browser gives it", good, true},
		{"without expiration", strings.Replace(good, `"expirationTime":null,`, "", 1), true},
		{"with one", strings.Replace(good, "null", "1795348800000", 1), true},
		{"padded keys", strings.Replace(strings.Replace(good, uaPublic, uaPublic+"=", 1), authSecret, authSecret+"==", 1), true},
		{"a port", subscription("https://up.example.net:8443/UP?id=s3cret"), true},
		{"a public address", subscription("https://93.184.215.14/s3cret"), true},
		{"the current key", with(good, `"key":"`+rawPublic+`"`), true},
		{"another key", with(good, `"key":"`+uaPublic+`"`), false},
		{"nothing", "", false},
		{"no JSON", "s3cret", false},
		{"a token", `"s3cret"`, false},
		{"JSON and more", good + "{}", false},
		{"an unknown member", with(good, `"x":1`), false},
		{"too long", with(good, `"key":"`+strings.Repeat("s3cret", 800)+`"`), false},
		{"no endpoint", subscription(""), false},
		{"in clear", subscription("http://fcm.googleapis.com/s3cret"), false},
		{"another scheme", subscription("file:///s3cret"), false},
		{"no host", subscription("https:///s3cret"), false},
		{"relative", subscription("/s3cret"), false},
		{"user information", subscription("https://s3cret@fcm.googleapis.com/"), false},
		{"a fragment", subscription(at + "#x"), false},
		{"a blank", subscription(at + " x"), false},
		{"a letter that is not ASCII", subscription("https://exämple.com/s3cret"), false},
		{"an endpoint without end", subscription(at + strings.Repeat("x", 2048)), false},
		{"loopback", subscription("https://127.0.0.1/s3cret"), false},
		{"loopback in IPv6", subscription("https://[::1]/s3cret"), false},
		{"loopback in IPv6 clothes", subscription("https://[::ffff:127.0.0.1]/s3cret"), false},
		{"a private address", subscription("https://10.0.0.1:443/s3cret"), false},
		{"the metadata service", subscription("https://169.254.169.254/latest/s3cret"), false},
		{"no keys", `{"endpoint":"` + at + `"}`, false},
		{"no auth", strings.Replace(good, authSecret, "", 1), false},
		{"a short auth", strings.Replace(good, authSecret, authSecret[:20], 1), false},
		{"a long auth", strings.Replace(good, authSecret, authSecret+"AAAA", 1), false},
		{"no point", strings.Replace(good, uaPublic, "", 1), false},
		{"a point off the curve", strings.Replace(good, uaPublic, uaPublic[:86]+"A", 1), false},
		{"a compressed point", strings.Replace(good, uaPublic, "AnFbK-zf3jYFUarx7Q9M02bBHOvlVfiby3sYalMzkXMW", 1), false},
		{"the point at infinity", strings.Replace(good, uaPublic, "AA", 1), false},
		{"another alphabet", strings.ReplaceAll(good, "_", "/"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := open.Check(tt.address)
			if (err == nil) != tt.good || err != nil && (!errors.Is(err, push.ErrAddress) || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	s := checker(t, func(c *webpush.Config) {
		c.Hosts = []string{"FCM.googleapis.com", "*.notify.windows.com", "10.1.2.3"}
		c.Allow = []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32")}
	})
	for host, good := range map[string]bool{
		"fcm.googleapis.com": true, "fcm.GOOGLEAPIS.com": true, "fcm.googleapis.com:8443": true, "a.notify.windows.com": true, "a.b.notify.windows.com": true,
		"10.1.2.3": true, "notify.windows.com": false, "evilnotify.windows.com": false, "fcm.googleapis.com.evil.test": false, "xfcm.googleapis.com": false,
		"googleapis.com": false, "fcm.googleapis.com.": false, ".notify.windows.com": false, "10.1.2.4": false, "93.184.215.14": false,
	} {
		if err := s.Check(subscription("https://" + host + "/x")); (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// Whatever a device gives for an address: what is accepted is https, on the list, and has keys with which something can be encrypted.
func FuzzCheck(f *testing.F) {
	s := checker(f, func(c *webpush.Config) { c.Hosts = []string{"*.example.com"} })
	f.Add(subscription("https://a.example.com/x"))
	f.Add(subscription("https://a.example.com@evil.test/x"))
	f.Add(subscription(`https://evil.test\\.example.com/`))
	f.Add(`{"endpoint":"https://a.example.com","keys":{}}`)
	f.Add(`{"keys":{"p256dh":"` + uaPublic + `","auth":"` + authSecret + `"},"Endpoint":"HTTPS://A.EXAMPLE.COM/"}`)
	f.Fuzz(func(t *testing.T, address string) {
		err := s.Check(address)
		if err != nil {
			if !errors.Is(err, push.ErrAddress) {
				t.Errorf("Check = %v", err)
			}
			return
		}
		if lower := strings.ToLower(address); !strings.Contains(lower, "https:") || !strings.Contains(lower, ".example.com") && !strings.Contains(lower, `\u`) {
			t.Errorf("accepted: %q", address)
		}
	})
}
