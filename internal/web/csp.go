// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

const (
	policyHead = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; form-action 'self'"
	policyTail = "; frame-ancestors 'none'; base-uri 'none'"
	// policyWatch lets a page that waits ask whether there is news.
	policyWatch = "; connect-src 'self'"
	// anyHTTPS is the one bare scheme that a form target may be.
	anyHTTPS = "https:"
)

// hostPattern is what a host source may hold. It keeps wildcards and the separators of the policy out.
var hostPattern = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$`)

// schemePattern takes private-use schemes only in the reversed domain form of RFC 8252, section 7.1. That keeps out
// javascript, data, blob and whatever else a browser gives a meaning of its own.
var schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+$`)

// policy returns the content security policy of a page whose form may lead to targets as well as to this origin.
func policy(targets []string) (string, error) {
	sources := make([]string, 0, len(targets))
	for _, raw := range targets {
		source, err := formSource(raw)
		if err != nil {
			return "", err
		}
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	if len(sources) == 0 {
		return policyHead + policyTail, nil
	}
	return policyHead + " " + strings.Join(sources, " ") + policyTail, nil
}

// formSource turns a redirect URI into the narrowest source expression that matches it.
func formSource(raw string) (string, error) {
	if raw == anyHTTPS {
		return anyHTTPS, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("parsing form target: %w", errTarget)
	}
	switch {
	case u.Scheme == "https", u.Scheme == "http":
		return hostSource(u)
	case schemePattern.MatchString(u.Scheme):
		return u.Scheme + ":", nil
	default:
		return "", fmt.Errorf("reading scheme of form target: %w", errTarget)
	}
}

func hostSource(u *url.URL) (string, error) {
	host := strings.ToLower(u.Hostname())
	// A source expression cannot hold an IPv6 address (CSP level 3, section 2.3.1), so its scheme has to do.
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() && addr.Zone() == "" {
		return u.Scheme + ":", nil
	}
	ascii, err := idna.Punycode.ToASCII(host)
	if err != nil || !hostPattern.MatchString(ascii) || u.User != nil {
		return "", fmt.Errorf("reading host of form target: %w", errTarget)
	}
	if port := u.Port(); port != "" {
		return u.Scheme + "://" + ascii + ":" + port, nil
	}
	return u.Scheme + "://" + ascii, nil
}

// secure sets the headers that every page carries.
func secure(h http.Header, csp string) {
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// Pragma and no-cache are for the caches of Form Post Response Mode, section 2; every page here is as private.
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Pragma", "no-cache")
}
