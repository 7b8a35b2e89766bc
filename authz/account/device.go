// SPDX-License-Identifier: Apache-2.0

package account

import "strings"

// Marks in a User-Agent header, in the order in which they are looked for: most browsers also name those they descend from.
var (
	browsers = []struct{ mark, name string }{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	systems = []struct{ mark, name string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// device says in a few words where a session is, "Firefox, Linux", so that people recognise their own. It is what the
// browser said about itself and decides nothing.
func device(userAgent string) string {
	var parts []string
	for _, b := range browsers {
		if strings.Contains(userAgent, b.mark) {
			parts = append(parts, b.name)
			break
		}
	}
	for _, s := range systems {
		if strings.Contains(userAgent, s.mark) {
			parts = append(parts, s.name)
			break
		}
	}
	if len(parts) > 0 {
		return strings.Join(parts, ", ")
	}
	if product, _, _ := strings.Cut(userAgent, " "); product != "" {
		return product
	}
	return "?"
}
