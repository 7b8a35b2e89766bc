// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxName bounds a name, which is also a scope.
const maxName = 200

// standard are scopes that mean something of their own.
var standard = []string{"openid", "profile", "email", "phone", "address", "offline_access"}

// name returns the name under which something stands in the Caddyfile: its own, if it can be written there and nothing else has
// it. Realms and security tests share their names, because both can be asked for by them.
func (p *plan) name(what, original string, line int) string {
	key := placeOf(what, original)
	if known, ok := p.names[key]; ok {
		return known
	}
	word := wordOf(original)
	if slices.Contains(standard, word) {
		word += "_" + what
	}
	base := word
	for p.taken[word] {
		p.numbers[base]++
		word = base + "_" + strconv.Itoa(p.numbers[base]+1)
	}
	p.taken[word] = true
	if word != original {
		p.findings.add(Warning, line, key, "the %s %s is called %s here", what, original, word)
	}
	p.names[key] = word
	return word
}

// wordOf returns a name made of what any Caddyfile, any scope and any acr may hold. It begins with a letter, a digit or an
// underscore.
func wordOf(name string) string {
	word := strings.Map(func(c rune) rune {
		if strings.ContainsRune("_.:-", c) || c < 0x80 && isAlphanumeric(byte(c)) {
			return c
		}
		return '_'
	}, name)
	if len(word) > maxName {
		word = word[:maxName]
	}
	if word == "" || word[0] != '_' && !isAlphanumeric(word[0]) {
		word = "_" + word
	}
	return word
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// isField reports whether a text is the name of a header field (RFC 9110 5.1).
func isField(text string) bool {
	return text != "" && len(text) <= maxName && !strings.ContainsFunc(text, func(c rune) bool {
		return c >= 0x80 || !isAlphanumeric(byte(c)) && !strings.ContainsRune("-_", c)
	})
}

// isPath reports whether a pattern of URLs is a path that Caddy matches as it stands, with a star at its end at most.
func isPath(pattern string) bool {
	path := strings.TrimSuffix(pattern, "*")
	return strings.HasPrefix(path, "/") && len(path) <= 1000 && !strings.ContainsFunc(path, func(c rune) bool {
		return c >= 0x80 || !isAlphanumeric(byte(c)) && !strings.ContainsRune("/_.-~", c)
	})
}

// isOrigin reports whether a text is a scheme, if there may be one, a host and perhaps a port: all that an address of a site is.
func isOrigin(text string, schemes ...string) bool {
	if !strings.Contains(text, "://") {
		text = "://" + text
	}
	scheme, rest, _ := strings.Cut(text, "://")
	u, err := url.Parse("x://" + rest)
	return err == nil && slices.Contains(schemes, scheme) && u.Host == rest && isHost(u.Hostname()) && !strings.HasSuffix(rest, ":")
}
