// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	byphone "github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	handheld "github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// TestWhoScansTypesTheNumber of the screen: it is shown once a phone has scanned and not before, whoever is asked and whatever else was
// proven; a phone that does not say it, or says another, approves nothing; and the phone shows where the request comes from.
func TestWhoScansTypesTheNumber(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"nothing", "password"} {
		t.Run(before, func(t *testing.T) {
			options := []func(*world, *realm.Config){asks(byphone.Config{Type: "scan"})}
			if before == "nothing" {
				options = append(options, identifies)
			}
			each(t, func(t *testing.T, w *world) {
				phone := w.enrol(t, w.alice.ID)
				f := &inBrowser{browser: w.browser(t)}
				var s seen
				if before == "nothing" {
					s = f.seen(f.get(authorize("app")))
				} else {
					s = f.begin()
				}
				kept := w.behind(t, s)
				if s.number != "" || len(kept.Number) < operation.MinNumber || strings.Contains(s.text, ">"+kept.Number+"<") {
					t.Errorf("before anybody has scanned, the number is %q of %q", s.number, kept.Number)
				}
				asked, err := phone.Scan(t.Context(), envelope.Scan{Issuer: issuer, OTP: kept.OTP}.Text())
				must(t, err)
				if asked.NumberMatch != len(kept.Number) {
					t.Errorf("the phone asks for %d digits, and the page shows %d", asked.NumberMatch, len(kept.Number))
				}
				if len(asked.Fields) != 1 || asked.Fields[0].Label != "Address" || asked.Fields[0].Value == "" {
					t.Errorf("of where the request comes from the phone shows %+v", asked.Fields)
				}
				if err := phone.Approve(t.Context(), asked, handheld.Approval{}); !errors.Is(err, handheld.ErrInput) {
					t.Errorf("without a number: %v", err)
				}
				if err := phone.Approve(t.Context(), asked, handheld.Approval{Number: another(kept.Number)}); !errors.Is(err, handheld.ErrRefused) {
					t.Errorf("by another number: %v", err)
				}
				if s = f.look(); s.done || s.number != kept.Number {
					t.Errorf("after a wrong number the page shows %q: %v", s.number, s.done)
				}
				elsewhere := w.browser(t).get(issuer + authz.PathLogin + "?" + url.Values{session.FieldRequest: {s.request}}.Encode())
				if strings.Contains(elsewhere.body, ">"+kept.Number+"<") || elsewhere.url.Query().Get("code") != "" {
					t.Errorf("another browser is shown the number:\n%s", elsewhere.body)
				}
				must(t, phone.Approve(t.Context(), asked, handheld.Approval{Number: s.number}))
				elsewhere = w.browser(t).get(issuer + authz.PathLogin + "?" + url.Values{session.FieldRequest: {s.request}}.Encode())
				if elsewhere.url.Query().Get("code") != "" {
					t.Error("another browser is let in by it")
				}
				if end := f.look(); !end.done {
					t.Errorf("after the right number: %s", end.text)
				}
			}, options...)
		})
	}
}

// another is a number of as many digits.
func another(number string) string { return string('0'+(number[0]-'0'+1)%10) + number[1:] }

// TestTooManyNames: one address asks for so many people by name and no more, and is told when to come again, whoever they are; others
// are served meanwhile, and so is who is known.
func TestTooManyNames(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const burst, nodes = 60, 2
		w.enrol(t, w.alice.ID)
		retry := regexp.MustCompile(`Try again in \d+ seconds`)
		var told []string
		for i := range 2 * burst * nodes {
			b := w.browser(t)
			f := &inBrowser{browser: b}
			f.seen(b.get(authorize("app")))
			name := []string{"alice", "mallory"}[i%2]
			page := b.submit(f.at, "username", name)
			switch page.status {
			case http.StatusOK:
				continue
			case http.StatusTooManyRequests:
			default:
				t.Fatalf("%s: %d\n%s", name, page.status, page.body)
			}
			if !retry.MatchString(page.body) || !strings.Contains(page.body, `name="username"`) {
				t.Fatalf("%s is told\n%s", name, page.body)
			}
			if told = append(told, volatile.ReplaceAllString(page.body, "#")); len(told) == 4 {
				break
			}
		}
		if len(told) < 4 {
			t.Fatalf("%d were refused", len(told))
		}
		for i, text := range told[1:] {
			if strings.ReplaceAll(text, "mallory", "alice") != strings.ReplaceAll(told[0], "mallory", "alice") {
				t.Errorf("refusal %d is told\n%s\nand the first\n%s", i+1, text, told[0])
			}
		}
		w.clock.Advance(10 * time.Second)
		b := w.browser(t)
		if page := b.submit(b.get(authorize("app")), "username", "alice"); page.status != http.StatusOK {
			t.Errorf("later: %d", page.status)
		}
	}, asks(byphone.Config{Type: "push_pin"}), identifies)
}
