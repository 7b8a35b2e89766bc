// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Errors of a page that must not be sent. They are the caller's mistakes, so Render logs them and answers 500.
var (
	errAction = errors.New("form action is not a path of this origin")
	errTarget = errors.New("URI is not one a form may lead to")
	errField  = errors.New("form field is not usable")
	errKind   = errors.New("message kind is unknown")
)

var inputTypes = []string{"", "text", "password", "email", "tel", "url", "number"}

func (p LoginPage) check() error {
	return errors.Join(checkPath(p.Action), checkHidden(p.Hidden), checkInputs(p.Fields), checkKind(p.Kind))
}

func (p ConsentPage) check() error { return errors.Join(checkPath(p.Action), checkHidden(p.Hidden)) }

func (p ErrorPage) check() error { return nil }

func (p LogoutPage) check() error { return errors.Join(checkPath(p.Action), checkHidden(p.Hidden)) }

func (p ContinuePage) check() error { return errors.Join(checkPath(p.Action), checkHidden(p.Hidden)) }

func (p ToldPage) check() error { return checkPath(p.ContinueURL) }

func (p SignedOutPage) check() error { return nil }

func (p FormPostPage) check() error { return errors.Join(checkWebURI(p.Action), checkHidden(p.Fields)) }

func (p AccountPage) check() error {
	return errors.Join(checkPath(p.Action), checkHidden(p.Hidden), checkKind(p.Kind), p.Phones.check(), p.Certificates.check())
}

// localPath reports whether raw is a path of this origin. A browser reads "//host" and "/\host" as another origin and
// drops tabs and line ends before it looks, so those are refused too (RFC 9700, section 4.11).
func localPath(raw string) bool {
	if !strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") {
		return false
	}
	return !strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f })
}

// checkPath names no part of what it refuses: a URI may carry secrets, and the error is logged.
func checkPath(action string) error {
	if !localPath(action) {
		return fmt.Errorf("checking form: %w", errAction)
	}
	return nil
}

// checkWebURI takes absolute http and https URIs. It is as silent as checkPath.
func checkWebURI(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("checking form URI: %w", errTarget)
	}
	return nil
}

func checkHidden(fields []Field) error {
	for i, f := range fields {
		if f.Name == "" {
			return fmt.Errorf("checking hidden field %d: name is empty: %w", i, errField)
		}
	}
	return nil
}

func checkInputs(fields []Field) error {
	for i, f := range fields {
		switch {
		case f.Name == "", f.Name == CancelField:
			return fmt.Errorf("checking field %d: name %q: %w", i, f.Name, errField)
		case f.Label == "":
			return fmt.Errorf("checking field %q: label is empty: %w", f.Name, errField)
		case !slices.Contains(inputTypes, f.Type):
			return fmt.Errorf("checking field %q: type %q: %w", f.Name, f.Type, errField)
		}
	}
	return nil
}

func checkKind(k Kind) error {
	switch k {
	case "", KindError, KindInfo, KindSuccess:
		return nil
	default:
		return fmt.Errorf("checking message: kind %q: %w", k, errKind)
	}
}
