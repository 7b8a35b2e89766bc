// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"html"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/faces"
)

func TestDevices(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ agent, want string }{
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "Chrome, Windows"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge, Windows"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15", "Safari, macOS"},
		{"Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/140.0 Mobile Safari/604.1", "Chrome, iPad"},
		{"Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36", "Samsung Internet, Android"},
		{"Mozilla/5.0 (X11; CrOS x86_64 15917) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "Chrome, ChromeOS"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 OPR/120.0", "Opera, Linux"},
		{"curl/8.15.0", "curl/8.15.0"},
		{"<script>alert(1)</script> x", "<script>alert(1)</script>"},
		{"", "?"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.Header.Set("User-Agent", tt.agent)
			b.SignIn(faces.AliceLogin)
			if page := b.Get("/account"); !strings.Contains(page.Body, ">"+html.EscapeString(tt.want)+"<") {
				t.Errorf("%q is not shown as %q:\n%s", tt.agent, tt.want, page.Body)
			}
		})
	}
}
