// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// placeUser is where the user name stands in patterns, there as here.
const placeUser = "{username}"

// ldap plans the login module that asks a directory. A filter also says who may log in, so one that cannot be written closes it.
func (p *plan) ldap(m *module, place string) guest {
	address, ok := directory(parameter(m.parameters, "ldapProviderUrl"))
	if !ok {
		address = "ldaps://directory.example.com"
		p.findings.add(FillIn, m.line, place, "the address of the directory, here %s", address)
	}
	verifies := guest{words: []string{"ldap"}, options: [][]string{{"url", address}}}
	pattern, filter := parameter(m.parameters, "ldapSecurityPrincipalPattern"), parameter(m.parameters, "ldapSearchFilterPattern")
	searched := parameter(m.parameters, "validationType") != "exists"
	if !searched && isDN(pattern) && strings.Count(pattern, placeUser) == 1 {
		verifies.options = append(verifies.options, []string{"bind_dn", pattern})
		return verifies
	}
	switch {
	case !searched || filter == "":
		filter = "(uid={username})"
		p.findings.add(FillIn, m.line, place, "the filter that finds a user, here %s: people bound as %s", filter, pattern)
	case !isFilter(filter):
		p.findings.add(NoEquivalent, m.line, place, "the filter %s, which cannot be written as it stands: the realm lets nobody in", filter)
		return of("reject_all")
	}
	base := parameter(m.parameters, "ldapSearchBase")
	if !isDN(base) || strings.Contains(base, "{") {
		base = "dc=example,dc=com"
		p.findings.add(FillIn, m.line, place, "the base of the search, here %s", base)
	}
	p.findings.add(FillIn, m.line, place, "the account that searches, here cn=gatehouse with its password in LDAP_PASSWORD: here the "+
		"entry is found first, and then bound as, where people bound as %s", pattern)
	verifies.options = append(verifies.options,
		[]string{"bind_dn", "cn=gatehouse," + base}, []string{"bind_password", "{env.LDAP_PASSWORD}"},
		[]string{"search_base", base}, []string{"filter", filter})
	return verifies
}

// directory returns the address of an LDAP server, without what follows it.
func directory(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" {
		return "", false
	}
	host, port := u.Hostname(), u.Port()
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", false
		}
		port = ":" + port
	}
	if net.ParseIP(host) == nil && !isHost(host) {
		return "", false
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + port, true
}

// isHost reports whether a text is the name of a host.
func isHost(text string) bool {
	return text != "" && len(text) <= 253 && !strings.ContainsFunc(text, func(c rune) bool {
		return c >= 0x80 || !isAlphanumeric(byte(c)) && c != '.' && c != '-'
	})
}

// isDN reports whether a text is a distinguished name of plain attributes (RFC 4514), in which the user may be a value.
func isDN(text string) bool {
	if len(text) > 1000 {
		return false
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		value = strings.ReplaceAll(value, placeUser, "u")
		if !isDescription(strings.TrimSpace(name)) || !isValue(value) || value != strings.TrimSpace(value) {
			return false
		}
	}
	return true
}

// isDescription reports whether a text is the name of an attribute.
func isDescription(text string) bool {
	return text != "" && len(text) <= maxName && isAlphanumeric(text[0]) && !strings.ContainsFunc(text, func(c rune) bool {
		return c >= 0x80 || !isAlphanumeric(byte(c)) && c != '-'
	})
}

// isValue reports whether a text is a value that needs no escape anywhere.
func isValue(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return c >= 0x80 || !isAlphanumeric(byte(c)) && !strings.ContainsRune(" =,.@-_:/", c)
	})
}

// isFilter reports whether a text is a search filter (RFC 4515) of plain assertions, with the user once as a value.
func isFilter(text string) bool {
	rest, ok := filter(text, 0)
	return ok && rest == "" && len(text) <= 2000 && strings.Count(text, placeUser) == 1
}

// filter reads one filter and returns what follows it.
func filter(text string, depth int) (rest string, ok bool) {
	inner, ok := strings.CutPrefix(text, "(")
	if !ok || inner == "" || depth > maxDepth {
		return text, false
	}
	switch inner[0] {
	case '&', '|', '!':
		rest, ok = filter(inner[1:], depth+1)
		for ok && inner[0] != '!' && strings.HasPrefix(rest, "(") {
			rest, ok = filter(rest, depth+1)
		}
		if !ok {
			return text, false
		}
		return strings.CutPrefix(rest, ")")
	}
	assertion, rest, ok := strings.Cut(inner, ")")
	name, value, compares := strings.Cut(assertion, "=")
	return rest, ok && compares && isDescription(name) &&
		(value == "*" || isValue(strings.ReplaceAll(value, placeUser, "u")))
}
